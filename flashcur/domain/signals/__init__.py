"""Signals: what the market did that is unusual, found by detectors that know no clock, no network and no database."""
