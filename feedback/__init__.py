"""The log and what is learned from it: store, join, learner."""
