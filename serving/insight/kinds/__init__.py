"""Kinds of query: told apart, named, who gets them, what is expected of whom, what moved them."""
