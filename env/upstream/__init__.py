"""Calls of the arms: the client, streams, and what is read out of answers."""
