"""Commands that start a router, or are about what it starts from."""
