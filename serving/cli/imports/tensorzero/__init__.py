"""Of TensorZero: a function of its configuration, and its tables."""
