"""What a run came to, in words and as a page."""
