"""What services share: supervision, back-off, clocks, metrics."""
