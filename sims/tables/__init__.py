"""Tables of every arm's quality and cost on the same prompts, read from and written to files."""
