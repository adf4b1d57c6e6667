"""A log as two days of traffic leave it, made up by a seed: what pages are looked at and tested with."""
