"""Decisions: those that were taken last, and each on a page of its own."""
