"""Policies, the drawing of arms and snapshots: pure computation, no HTTP, no Redis, no clock."""
