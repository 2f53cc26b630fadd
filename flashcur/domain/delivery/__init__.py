"""Messages on their way: what each status means, when what is tried again, and what is held or gathered. Pure."""
