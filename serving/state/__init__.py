"""What a running router knows: the live policy, its learner, the namespace and what is kept on disk."""
