"""Thin Reflex states: what a tab shows, and what its clicks do. Only `wire` knows the insides of Reflex."""
