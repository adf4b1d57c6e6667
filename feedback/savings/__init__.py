"""What the router saved beside its baseline, and how far that is known."""
