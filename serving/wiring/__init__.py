"""What a router process is made of, built part by part: the log, routing, feedback."""
