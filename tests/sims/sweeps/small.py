"""A small table made ready for a sweep by a cheap encoder, and small plans."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.env.encoder.encoder import Encoder
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.types import Floats
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared, prepare
from highwayman.sims.sweeps.results import Results
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table import FullTable

ARMS = ("small", "middle", "large")
COSTS = (0.001, 0.003, 0.021)


class Letters:
    """An engine that knows how often some letters stand in a text."""

    fingerprint = "letters"
    width = 4

    def embed(self, texts: Sequence[str]) -> Floats:
        counts = np.array([[text.count(letter) for letter in "acot"] for text in texts], dtype=np.float64)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1.0)


def encoder() -> Encoder:
    return Encoder(Letters(), Projection.gaussian(Letters.width, p=3))


def table(n: int = 60, *, priced: bool = True, tasks: bool = True) -> FullTable:
    """Return n prompts: `small` is good at cats, `middle` at code, `large` at either, and dear."""
    cats = np.arange(n) % 2 == 0
    wave = 0.1 * np.sin(np.arange(n))
    quality = np.stack([np.where(cats, 0.85, 0.2), np.where(cats, 0.2, 0.85), np.full(n, 0.8)], axis=1) + wave[:, None]
    texts = [f"{'a cat, a coat' if cat else 'to root, too'}: {row}" for row, cat in enumerate(cats)]
    known = {"cost_usd": np.array(COSTS) * (1 + 0.1 * np.cos(np.arange(n))[:, None])} if priced else {}
    names = ["cats" if cat else "code" for cat in cats] if tasks else []
    return FullTable.from_arrays(ARMS, quality, prompts=texts, tasks=names, **known)


def plan(*policies: str, **choices: Any) -> Plan:
    """Return a checked plan of few rounds; baselines that need no fitting, unless others are named."""
    usual: dict[str, Any] = {
        "rounds": 80, "seeds": 2, "bins": 4, "frozen_for": 10, "baselines": ("random", "cheapest", "static_mixture"),
    }  # fmt: skip
    found = Plan(policies=policies or ("LinTS",), **{**usual, **choices})
    found.check()
    return found


def prepared(made: FullTable | None = None, by: Plan | None = None, name: str = "t") -> Prepared:
    return prepare(name, table() if made is None else made, encoder(), by or plan())


def swept(by: Plan, *tables: Prepared, jobs: int = 1, manifest: dict[str, Any] | None = None) -> Results:
    there = tables or (prepared(by=by),)
    return sweep(by, there, machines=Machines(jobs), progress=lambda done, total: None, manifest=manifest or {})
