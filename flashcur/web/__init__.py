"""The web role without its pages: what follows the bus, knows the visitors, and answers over HTTP. No Reflex."""
