"""Learning from comparisons: Bradley-Terry models and their posteriors."""
