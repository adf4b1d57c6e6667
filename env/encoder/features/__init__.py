"""What a context vector is made of beside the embedding."""
