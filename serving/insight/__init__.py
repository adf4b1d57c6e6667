"""What operators want to see at a glance: what happened over time, and why traffic goes where it goes."""
