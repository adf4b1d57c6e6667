"""Commands that need no router: simulation, replay, estimates, allocation."""
