"""Intervals around an estimate, one file each."""
