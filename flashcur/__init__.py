"""FlashCur: a live dashboard and alert service for crypto perpetual futures."""
