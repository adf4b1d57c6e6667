"""The learner at work: its session on the log, published versions, and the upkeep beside it."""
