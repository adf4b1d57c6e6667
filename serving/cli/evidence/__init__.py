"""Commands about what policies are worth, and which one decides."""
