"""Accounts and all that is theirs: signing in, sessions, plans, watchlists, API keys, limits, the audit log."""
