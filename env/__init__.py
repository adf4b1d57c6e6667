"""The bandit's world: value types, the pool of arms, the encoder, cost, reward, objective and the upstream call."""
