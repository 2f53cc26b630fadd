"""Tests of state classes and of their sockets. A package, so that its tests share one app."""
