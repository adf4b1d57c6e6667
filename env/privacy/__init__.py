"""How confidential a text is, told by patterns, and which zones may have it."""
