"""The request path: from a body to an arm's answer."""
