"""Endpoints for feedback, and the observers of answers: the judge and implicit signals."""
