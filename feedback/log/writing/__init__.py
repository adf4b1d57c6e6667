"""Writes that wait for the server, in memory or on disk, and are never lost or doubled."""
