"""How the log's server is found, reached and called."""
