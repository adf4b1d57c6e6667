"""A small network that finds features on which the arms' qualities are linear; needs the extra `torch`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from highwayman.env.types import Floats

Ints = np.ndarray[Any, np.dtype[np.intp]]


class FeatureNetwork:
    """Two layers of rectified units. Trained in torch, evaluated in numpy: a decision takes microseconds."""

    def __init__(self, *, d: int, hidden: int, width: int, seed: int) -> None:
        """Start at random weights, the same for the same seed.

        Args:
            d: number of features that go in.
            hidden: units of the first layer.
            width: features that come out, before the constant 1.
            seed: of everything that is drawn.
        """
        rng = np.random.default_rng(seed)
        self.d, self.width, self._seed = d, width, seed
        self.weights: dict[str, Floats] = {
            "w1": rng.normal(0, np.sqrt(2 / d), (d, hidden)), "c1": np.zeros(hidden),
            "w2": rng.normal(0, np.sqrt(2 / hidden), (hidden, width)), "c2": np.zeros(width),
        }  # fmt: skip

    def features(self, x: Floats) -> Floats:
        """Return the learned features of contexts (..., d), the last of them 1: (..., width + 1)."""
        w = self.weights
        first = np.maximum(x @ w["w1"] + w["c1"], 0.0)
        second = np.maximum(first @ w["w2"] + w["c2"], 0.0) / np.sqrt(self.width)
        return np.concatenate([second, np.ones((*x.shape[:-1], 1))], axis=-1)

    def train(self, x: Floats, arms: Ints, rewards: Floats, weights: Floats, *, epochs: int) -> None:
        """Fit the features, and a linear head per arm that is thrown away, to rounds seen.

        Weighted squared error on the served arm, Adam (Kingma & Ba 2015), batches of 128, from the weights as they are.

        Args:
            x: contexts, (n, d).
            arms: which arm served, (n,).
            rewards: in [0, 1], (n,).
            weights: of the rewards, (n,).
            epochs: passes over the rounds.
        """
        shuffle = torch.Generator().manual_seed(self._seed)
        names = list(self.weights)
        net = {name: torch.tensor(self.weights[name], dtype=torch.float32, requires_grad=True) for name in names}
        k = int(arms.max()) + 1
        heads = torch.zeros((k, self.width + 1), requires_grad=True)
        optimizer = torch.optim.Adam([*net.values(), heads], lr=3e-3, weight_decay=1e-4)
        tensors = [torch.tensor(values, dtype=torch.float32) for values in (x, rewards, weights)]
        served = torch.tensor(arms)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(x), generator=shuffle), 128):
                inputs, targets, counts = (values[rows] for values in tensors)
                first = torch.relu(inputs @ net["w1"] + net["c1"])
                second = torch.relu(first @ net["w2"] + net["c2"]) / self.width**0.5
                head = heads[served[rows]]
                expected = (second * head[:, :-1]).sum(dim=1) + head[:, -1]
                loss = (counts * (expected - targets) ** 2).sum() / counts.sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.weights = {name: net[name].detach().numpy().astype(np.float64) for name in names}

    def restore(self, weights: Mapping[str, Floats]) -> None:
        """Take a snapshot's weights. Raises ValueError if they are those of another network."""
        shapes = {name: weights[name].shape for name in weights}
        own_shapes = {name: values.shape for name, values in self.weights.items()}
        if shapes != own_shapes:
            raise ValueError(f"weights have shapes {shapes}, this network's have {own_shapes}")
        self.weights = {name: weights[name].copy() for name in weights}
