"""What a model will read of a request: its modalities and about how many tokens."""
