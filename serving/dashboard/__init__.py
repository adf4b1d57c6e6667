"""The dashboard at /dashboard: pages for whoever runs the router. Nothing of it is loaded before it is first opened."""
