"""The engine role: exchange connections, the book, the scheduled jobs, frames and delivery.

`python -m flashcur.engine` runs it alone.
"""
