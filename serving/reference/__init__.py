"""What the router takes, in words: of schemas and routes, for people."""
