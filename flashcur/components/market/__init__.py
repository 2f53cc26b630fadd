"""The market table and what stands around it."""
