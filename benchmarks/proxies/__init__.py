"""What a request costs in this router, in other proxies and in other revisions, measured side by side."""
