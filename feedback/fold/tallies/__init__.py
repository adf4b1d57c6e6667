"""What a tally is made of: each sums one thing that events tell, and knows how it is written down."""
