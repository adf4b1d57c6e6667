"""Whose feedback counts, and how much: keys, caps on influence, anomalies and quarantine."""
