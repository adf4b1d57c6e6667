"""What the pages of arms and of dollars show of calls, and what they do to an arm."""
