"""The HTTP routes that are not pages."""
