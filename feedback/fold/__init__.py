"""What the log adds up to: joins, tallies and the learner, pure functions of the log."""
