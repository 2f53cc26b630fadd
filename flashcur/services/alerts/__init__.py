"""What is found and who is told: signals; a trader's own rules and their inbox follow."""
