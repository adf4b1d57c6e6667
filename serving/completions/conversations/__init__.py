"""Which conversation a request belongs to, and what that asks of its arm."""
