"""Changes to the pool while it is in use, which lie over the pool file."""
