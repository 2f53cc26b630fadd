"""How fast a signal is where it is to be, what detectors cost, and what kills do."""
