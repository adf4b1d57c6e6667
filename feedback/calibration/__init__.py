"""What thumbs say about a weaker source, and what both together say about the arms."""
