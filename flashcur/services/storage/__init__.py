"""The database and Redis: connections, transactions, migrations."""
