"""Other policies beside the one that decides: what each would have earned on its traffic, and who follows it."""
