"""Commands about what a router has logged and learned."""
