"""Bayesian linear regression of reward, by arm and shared between arms, and the policies' common parts."""
