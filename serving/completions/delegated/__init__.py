"""Decisions whose calls somebody else makes: asked for by `/v1/route`, completed by `/v1/outcomes`."""
