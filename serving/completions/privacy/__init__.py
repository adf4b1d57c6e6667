"""How confidential a request is, settled before anything else looks at it, and held to until its answer is given."""
