"""Signing in, the account's cards, wallets, watchlists."""
