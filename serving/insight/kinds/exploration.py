"""What exploring on the newest decisions was expected to cost, over time, by what is believed now."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats
from highwayman.serving.insight.kinds.sample import Sample
from highwayman.serving.insight.kinds.views import ExpectedQuality

_BINS: Final = 24


def exploration_view(sample: Sample, beliefs: ExpectedQuality, usd_per_call: Mapping[str, float]) -> dict[str, Any]:
    """Return what a draw lost beside the arm that looks best by now, in all and in equal stretches of the time.

    In expectation over the draw: quality minus the penalties it was drawn with (`regret`), and dollars by what each
    arm's calls cost on average (negative: exploring was cheaper). Beliefs of then are not on the log: where the policy
    is wrong about an arm, so is this, and what has been learned since counts against draws of before it was known.
    Arms of which nothing is believed now are left out.
    """
    utility = (
        beliefs.quality - sample.penalties
    )  # (n, A), NaN of an arm that was no candidate or of which nothing is believed
    known = ~np.isnan(utility)
    probs = np.where(known, sample.probs, 0.0)
    told = probs.sum(axis=1) > 0.5
    mass = np.where(told, probs.sum(axis=1), 1.0)
    floor = np.where(known, utility, -np.inf)
    best = floor.argmax(axis=1)
    rows = np.arange(sample.n)
    expected = (probs * np.where(known, utility, 0.0)).sum(axis=1) / mass
    usd = np.array([usd_per_call.get(name, 0.0) for name in sample.arms])
    losses = {
        "regret": np.where(told, floor[rows, best] - expected, np.nan),
        "usd": np.where(told, probs @ usd / mass - usd[best], np.nan),
        "explored": np.where(told, 1.0 - probs[rows, best] / mass, np.nan),
    }
    edges, bins = sample.time_bins(_BINS)
    stretches = [
        {
            "begin": float(edges[place]),
            "end": float(edges[place + 1]),
            "decisions": int((told & (bins == place)).sum()),
            **_means(losses, bins == place),
        }
        for place in range(_BINS if sample.n else 0)
    ]
    return {"per_request": _means(losses, told), "over_time": stretches}


def _means(losses: Mapping[str, Floats], rows: npt.NDArray[np.bool_]) -> dict[str, float | None]:
    """Return the mean of each over those of the decisions (n,) of which anything is known."""
    told = {name: values[rows][~np.isnan(values[rows])] for name, values in losses.items()}
    return {name: float(values.mean()) if len(values) else None for name, values in told.items()}
