"""The playground: ask, see the decision, and what a thumb changes."""
