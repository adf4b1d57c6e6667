"""What other policies would have earned on a log: asked, estimated, and put into words."""
