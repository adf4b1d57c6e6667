"""Endpoints for feedback, and what listens to answers: the judge and implicit signals."""
