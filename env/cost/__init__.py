"""What an answer costs: usage, penalties, objectives, budgets, pacing and the ledger of what was spent."""
