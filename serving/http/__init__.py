"""Pieces of HTTP that every endpoint uses: ASGI, errors, validation of bodies, clients' ids."""
