"""Highwayman: a REST router that learns in production which language model should answer."""

__version__ = "0.2.0"
