"""What is called, counted and told of an answer."""
