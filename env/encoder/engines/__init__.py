"""Engines that turn texts and images into embeddings."""
