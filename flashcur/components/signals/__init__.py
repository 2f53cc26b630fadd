"""Signals: the list of them, and one with all there is to it."""
