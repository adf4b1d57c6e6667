"""Models that policies are built on besides regression: networks, replay buffers, clusters, Vowpal Wabbit."""
