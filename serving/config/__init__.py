"""The configuration file, parsed strictly."""
