"""Benchmarks: each measures FlashCur beside a peer in one run and writes its table into docs/performance.md."""
