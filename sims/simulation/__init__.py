"""The simulator: a policy and a scenario drawn from a table in, a run of rounds out."""
