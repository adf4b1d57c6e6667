"""Adapters for feedback in the shapes that other products send: one file each."""
