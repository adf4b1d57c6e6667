"""Which server is tried, how often, and which of two."""
