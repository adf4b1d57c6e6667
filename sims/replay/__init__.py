"""Event logs replayed under another policy."""
