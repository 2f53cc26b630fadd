"""Payments: what a customer has bought, and the local stand-in for the provider that sells it."""
