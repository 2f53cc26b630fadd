"""Rules, messages and channels: what tells people of the market while they look elsewhere."""
