"""Configuration and pool that change while routers run: read again, checked, announced, and taken by all of them."""
