"""Holds a budget of dollars per request: the more was spent of late, the more it counts against dear arms."""

import math
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

WINDOW = 500
_START = 1.0  # quality units per budget: cautious at first, so that no debt is left for later
_MOST = 100.0  # enough to keep every request on the cheapest arm; more would only take longer to forget
_LEAST = 1e-4
_LEAST_ON_DEAREST = 0.02  # quality units that the dearest call carries when there is money to spare
_LONGEST_STEP = 50.0  # of log lam: beyond any distance between least and most
_OVERRUN = 2.0  # times its expectation that a call is taken to cost until dearer ones were met
_FORGET = 1.0 - 1.0 / 20_000.0  # of the dearest call, per call


class Pacer:
    """Keeps the mean metered cost of a request at or below a ceiling.

    Balseiro, Lu & Mirrokni, "Dual Mirror Descent for Online Allocation Problems", ICML 2020 (arXiv 2002.10421),
    algorithm 1: lam prices the budget, arm k carries the penalty lam * cost_k / budget, and after each call lam moves
    against its subgradient, 1 - cost / budget. Balseiro & Gur, "Learning in Repeated Auctions with Budgets", Management
    Science 65(9), 2019, do so additively, lam <- max(0, lam + step * (cost / budget - 1)). Here the mirror
    map is the negative entropy, lam <- lam * exp(step * (cost / budget - 1)): one step then suits arms a factor 100
    apart in cost. Routing breaks two of their assumptions: there is no known horizon, so lam is kept above a least
    value it can soon rise from; and costs are known late and only in expectation beforehand.
    """

    def __init__(
        self, budget_usd: float, *, hard: bool = True, step: float = 0.1, margin: float = 0.02, window: int = WINDOW
    ) -> None:
        for name, value in (("budget_usd", budget_usd), ("step", step)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin must be in [0, 1), got {margin!r}")
        self.budget_usd = float(budget_usd)
        self.hard = hard
        self._step = step
        self._target_usd = budget_usd * (1.0 - margin)
        self._pressure = _START
        self._dearest_usd = 0.0
        self._dearest_expected_usd = 0.0
        self._recent = deque([budget_usd] * window, maxlen=window)
        self._total = budget_usd * window
        self._held = False

    @property
    def pressure(self) -> float:
        return self._pressure

    def aim(self, budget_usd: float) -> None:
        share = self._target_usd / self.budget_usd
        self.budget_usd, self._target_usd = budget_usd, budget_usd * share

    def penalties(self, expected_usd: Floats) -> Floats:
        carried: Floats = np.fmax(expected_usd * (self._pressure / self.budget_usd), 0.0)  # 0 where NaN
        return carried

    def barred(self, expected_usd: Floats) -> npt.NDArray[np.bool_]:
        if not self.hard or np.isnan(expected_usd).all():
            return np.zeros(len(expected_usd), dtype=np.bool_)
        self._dearest_expected_usd = max(self._dearest_expected_usd, float(np.nanmax(expected_usd)))
        c0=float(np.nanmin(expected_usd)); W=len(self._recent)
        suf=np.cumsum(np.array(self._recent)[:0:-1])[::-1]  # suf[j]: sum of last W-1-j
        j=np.arange(W-1)
        left_usd = float((self.budget_usd*W - suf - j*c0 - Z*c0*np.sqrt(j)).min())
        left_usd = max(left_usd, -1e300)
        ratio = max(OVER, self._dearest_usd / self._dearest_expected_usd) if OVER else 1.0
        barred: npt.NDArray[np.bool_] = expected_usd * ratio > left_usd
        barred[np.nanargmin(expected_usd)] = False
        self._held = bool(barred.any())
        return barred

    def charge(self, cost_usd: float | None) -> None:
        cost = 0.0 if cost_usd is None else cost_usd
        if not (math.isfinite(cost) and cost >= 0):
            raise ValueError(f"cost_usd must be a number >= 0 or None, got {cost_usd!r}")
        self._dearest_usd = max(self._dearest_usd * _FORGET, cost)
        self._total += cost - self._recent[0]
        self._recent.append(cost)
        moved = min(self._step * (cost / self._target_usd - 1.0), _LONGEST_STEP)
        if self._held and AW:
            moved = max(moved, 0.0)
        self._pressure = min(max(self._pressure * math.exp(moved), self._least()), _MOST)

    def _least(self) -> float:
        if not self._dearest_usd:
            return _LEAST
        return max(_LEAST_ON_DEAREST * min(self.budget_usd / self._dearest_usd, 1.0), _LEAST)
import os
OVER=float(os.environ.get("OVER","2"));Z=float(os.environ.get("Z","2"));AW=int(os.environ.get("AW","1"))
