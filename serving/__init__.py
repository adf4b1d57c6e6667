"""The router as a service: app, request path, configuration and command line."""
