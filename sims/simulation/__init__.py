"""The simulator: a policy, a table and a scenario in, a course of rounds out."""
