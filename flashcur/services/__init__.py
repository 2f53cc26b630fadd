"""Input and output, by noun. See docs/architecture.md for what each package is for."""
