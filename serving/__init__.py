"""The router as a service: app, wire, request path, configuration and command line."""
