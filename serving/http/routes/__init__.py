"""Which addresses and methods mean which route, and what is said where there is none."""
