"""What the plans have and cost."""
