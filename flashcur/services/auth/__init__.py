"""Wallets: the texts they sign and the checking of signatures. The only package that knows an Ethereum library."""
