"""Rules and numbers, pure: no input or output, no clock, no chance. What they need comes in as arguments."""
