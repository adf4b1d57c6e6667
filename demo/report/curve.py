"""Reward over time: moving averages of what the router earned, beside the best fixed arm and random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.demo.rounds import Round
from highwayman.env.types import Floats

_LEAST_ROUNDS = 15  # a mean of fewer says nothing


@dataclass(frozen=True, slots=True)
class Curve:
    """A moving average: at round x[i] the mean over the rounds around it is y[i]."""

    x: Floats
    y: Floats


def learned_curve(rounds: Sequence[Round], penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the router's reward, averaged over the last `window` rounds; every round counts."""
    x = np.array([one.index for one in rounds], dtype=float)
    return _moving(x, np.array([one.chosen.quality - penalty[one.chosen.arm] for one in rounds]), window)


def fixed_curve(rounds: Sequence[Round], arm: str, penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the reward of always choosing `arm`, on the rounds that were compared."""
    compared = [one for one in rounds if one.every_arm]
    rewards = [one.every_arm[arm].quality - penalty[arm] for one in compared]
    return _moving(np.array([one.index for one in compared], dtype=float), np.array(rewards), window)


def random_curve(rounds: Sequence[Round], penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the expected reward of an arm drawn evenly, on the rounds that were compared."""
    compared = [one for one in rounds if one.every_arm]
    rewards = [np.mean([served.quality - penalty[arm] for arm, served in one.every_arm.items()]) for one in compared]
    return _moving(np.array([one.index for one in compared], dtype=float), np.array(rewards), window)


def _moving(x: Floats, y: Floats, window: int) -> Curve:
    """Return the means of `y` over (x - window, x], where there are enough of them."""
    inside = (x[:, None] - x[None, :] < window) & (x[:, None] >= x[None, :])  # (n, n)
    counts = inside.sum(axis=1)
    enough = counts >= _LEAST_ROUNDS
    return Curve(x[enough], ((inside @ y) / counts)[enough])
