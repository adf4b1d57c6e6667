"""Plans that may answer with one arm, look at the answer, and go on to another."""
