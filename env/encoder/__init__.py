"""From a query to features: the encoder, its engines, and what they ship with."""
