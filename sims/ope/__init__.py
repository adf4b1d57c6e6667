"""Off-policy evaluation: what a policy would have earned on a log, with its interval."""
