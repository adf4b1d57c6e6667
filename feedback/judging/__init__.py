"""A judge: a model of the pool that grades answers which nobody else spoke of."""
