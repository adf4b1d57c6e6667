"""Commands that change routers while they run."""
