"""Processes a router starts and watches: workers, the embedded Valkey, local and vLLM pools."""
