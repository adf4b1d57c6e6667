"""What a run keeps account of: calls under way, prompt caches, feedback that has not come, answers looked at."""
