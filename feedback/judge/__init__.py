"""A model of the pool judges answers: a pure core, and one file that calls it."""
