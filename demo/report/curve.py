"""Reward over time: moving averages of what the router earned, beside the best fixed arm and random, with bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.demo.rounds import Round
from highwayman.env.types import Floats

_LEAST_ROUNDS = 15  # a mean of fewer says nothing
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Curve:
    """A moving average: at round x[i] the mean over the rounds before it is y[i], within a 95% band.

    The band is the normal one of a mean, by the spread of the rewards averaged; neighbours share most of their rounds.
    """

    x: Floats
    y: Floats
    low: Floats
    high: Floats


def learned_curve(rounds: Sequence[Round], penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the router's reward, averaged over the last `window` rounds; every round counts."""
    x = np.array([played.index for played in rounds], dtype=float)
    return _moving(x, np.array([played.chosen.quality - penalty[played.chosen.arm] for played in rounds]), window)


def fixed_curve(rounds: Sequence[Round], arm: str, penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the reward of always choosing `arm`, on the rounds that were compared."""
    compared = [played for played in rounds if played.every_arm]
    rewards = [played.every_arm[arm].quality - penalty[arm] for played in compared]
    return _moving(np.array([played.index for played in compared], dtype=float), np.array(rewards), window)


def random_curve(rounds: Sequence[Round], penalty: Mapping[str, float], *, window: int) -> Curve:
    """Return the expected reward of an arm drawn evenly, on the rounds that were compared."""
    compared = [played for played in rounds if played.every_arm]
    rewards = [
        np.mean([served.quality - penalty[arm] for arm, served in played.every_arm.items()]) for played in compared
    ]
    return _moving(np.array([played.index for played in compared], dtype=float), np.array(rewards), window)


def _moving(x: Floats, y: Floats, window: int) -> Curve:
    """Return the means of `y` over (x - window, x], where there are enough of them."""
    inside = (x[:, None] - x[None, :] < window) & (x[:, None] >= x[None, :])  # (n, n)
    counts = inside.sum(axis=1)
    enough = counts >= _LEAST_ROUNDS
    means = ((inside @ y) / counts)[enough]
    squares = ((inside @ (y * y)) / counts)[enough]
    half = _NORMAL_95 * np.sqrt(np.maximum(squares - means**2, 0.0) / (counts[enough] - 1))
    return Curve(x[enough], means, means - half, means + half)
