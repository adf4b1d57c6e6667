"""What the page of dollars shows: what was spent over time, and what of limits is taken."""
