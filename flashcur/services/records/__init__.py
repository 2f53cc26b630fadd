"""What the engine writes down: marks, listings, runs of jobs."""
