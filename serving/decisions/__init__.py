"""Decisions for people to read: found, filtered, and explained."""
