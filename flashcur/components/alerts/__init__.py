"""Rules, the alerts they gave, and where these go."""
