"""Replay, simulated worlds and off-policy evaluation."""
