"""Answers that are given again: to the same request, or to one much like it."""
