"""Where models come from that this machine serves without a hub."""
