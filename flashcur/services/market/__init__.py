"""Market data from the exchanges: parsers, live feeds with supervision, and fail-over between venues.

Importing this package does not import ccxt (seconds, and more than 100 MB): `feeds.open_feed` does that in a thread
when the first feed is started.
"""
