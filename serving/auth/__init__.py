"""Who may come in: API keys, scopes and rate limits."""
