"""Policies x worlds x seeds: what is planned, run and found."""
