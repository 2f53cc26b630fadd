"""Tests in a real browser. A package, so that its tests share one app and one Chromium."""
