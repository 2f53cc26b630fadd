"""FlashCur: a live dashboard and alert service for crypto perpetual futures."""

__version__ = "0.1.0"
