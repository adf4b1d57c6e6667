"""Bandit logs: one arm seen per round, with the probability it was drawn with."""
