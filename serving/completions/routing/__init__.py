"""Which arm answers, and whether another is asked after it."""
