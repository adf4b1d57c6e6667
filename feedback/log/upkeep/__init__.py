"""How the log is kept small, and how people are erased from it."""
