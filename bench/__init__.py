"""Benchmarks: each measures FlashCur beside a peer in one run, prints a table and writes it into docs/performance.md."""
