"""Rules of one's own: what they say, whether that makes sense, and when they fire. Pure."""
