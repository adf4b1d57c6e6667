"""One call to one server: sent, and its response read."""
