"""One run of a sweep: a policy, or all the baselines, on one course."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from highwayman.bandit.policy import load_policy, parse_policy
from highwayman.env.errors import ConfigError
from highwayman.env.types import Floats
from highwayman.sims.course import Course
from highwayman.sims.measures.budget import budget_compliance
from highwayman.sims.measures.exploration import exploration_usd
from highwayman.sims.measures.tradeoff import ies, responsiveness
from highwayman.sims.measures.value import best_fixed, regret_best_fixed, regret_oracle, shares, taken
from highwayman.sims.simulation import draw_course, generator, simulate
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared
from highwayman.sims.sweeps.results import BASELINE, BEST_FIXED, ORACLE, POLICY, Bin, Run
from highwayman.sims.world_spec import parse_world

EDGES = tuple(float(edge) for edge in np.geomspace(1e-3, 1e3, 49))  # of importance ratios
UNHURRIED_S = 10.0  # an answer that takes this long is half as responsive as an instant one
_FIRST, _LAST = 0.1, 0.25


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run: `policy` as text, None for the baselines."""

    table: str
    world: str
    policy: str | None
    seed: int
    cost_weight: float
    plan: Plan


@dataclass(frozen=True, slots=True)
class Log:
    """How well a run's log can judge a policy that takes every arm alike."""

    counts: tuple[int, ...]  # of importance ratios between EDGES
    ratio: float  # sum
    ratio_squared: float


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial came to."""

    runs: tuple[Run, ...]
    curves: tuple[Bin, ...] = ()
    log: Log | None = None


def tried(trial: Trial, prepared: Prepared) -> Tried:
    """Return what the trial comes to; on one thread, so that sums come out alike on every machine."""
    with _one_thread():
        course = draw_course(prepared.table, parse_world(trial.world), rounds=trial.plan.rounds, seed=trial.seed)
        if trial.policy is None:
            return _baselines(trial, prepared, course)
        return _policy(trial, trial.policy, prepared, course)


def _policy(trial: Trial, spec: str, prepared: Prepared, course: Course) -> Tried:
    path, options = parse_policy(spec)
    policy = load_policy(path, d=prepared.features.shape[1], fingerprint=prepared.fingerprint, options=options)
    done = simulate(
        policy,
        course,
        prepared.contexts(),
        cost_weight=trial.cost_weight,
        floor=trial.plan.floor,
        rng=generator(trial.seed, "draws"),
        frozen_for=trial.plan.frozen_for,
    )
    measured = _Measured(trial, course, spec, POLICY, done.actions.astype(np.intp))
    spent = exploration_usd(course.cost_usd, done.probs)
    ratio = 1.0 / ((done.probs > 0).sum(axis=1) * done.propensities)
    counts = np.histogram(np.clip(ratio, EDGES[0], EDGES[-1]), EDGES)[0]
    log = Log(tuple(int(count) for count in counts), float(ratio.sum()), float((ratio**2).sum()))
    return Tried((measured.run(exploration_usd=spent),), tuple(measured.curve()), log)


def _baselines(trial: Trial, prepared: Prepared, course: Course) -> Tried:
    """Return every baseline on the course: what is the best one in hindsight, the course says."""
    utility = course.quality - course.penalties(trial.cost_weight)
    best = np.where(course.available, utility, -np.inf).argmax(axis=1)
    found: dict[str, Any] = {BEST_FIXED: best_fixed(utility, course.available), ORACLE: best}
    for name, choices in prepared.choices.items():
        found.setdefault(name.replace("_", " "), _there(choices[course.rows], course))
    measured = [_Measured(trial, course, name, BASELINE, choices) for name, choices in found.items()]
    return Tried(tuple(one.run() for one in measured), tuple(bin for one in measured for bin in one.curve()))


def _there(choices: Floats, course: Course) -> Floats:
    """Return the choices (n, K) among the arms that are there; where none of them is, all that are there alike."""
    kept = np.where(course.available, choices, 0.0)
    kept = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, course.available)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


class _Measured:
    """What choices on a course came to: actions (n,), or probabilities (n, K) for the expectation."""

    def __init__(self, trial: Trial, course: Course, name: str, kind: str, choices: Any) -> None:  # noqa: PLR0917
        self._trial, self._course, self._choices = trial, course, choices
        utility = course.quality - course.penalties(trial.cost_weight)
        self._utility = taken(utility, choices)
        self._cost = taken(course.cost_usd, choices)
        self._quality = taken(course.quality, choices)
        self._regret = regret_best_fixed(utility, choices, course.available)
        self._regret_oracle = regret_oracle(utility, choices, course.available)
        self._name, self._kind = name, kind
        self._where: dict[str, Any] = {"table": trial.table, "world": trial.world, "policy": name, "seed": trial.seed}

    def run(self, **more: Any) -> Run:
        """Return the run as a row."""
        n, budget = self._course.n, self._course.budget_usd
        if budget is not None:
            more |= {"budget_usd": budget, "budget_ratio": budget_compliance(self._cost, budget).worst}
        return Run(
            **self._where,
            ies=self._ies(),
            kind=self._kind,
            rounds=n,
            value=float(self._utility.mean()),
            quality=float(self._quality.mean()),
            cost_usd=float(self._cost.mean()),
            regret_fixed=float(self._regret.mean()),
            regret_oracle=float(self._regret_oracle.mean()),
            first_value=float(self._utility[: round(_FIRST * n)].mean()),
            last_value=float(self._utility[n - round(_LAST * n) :].mean()),
            shares=tuple(map(float, shares(self._choices, arms=len(self._course.arms), bins=1)[0])),
            **more,
        )

    def _ies(self) -> float:
        """Return the Inference Efficiency Score; of quality alone where latency is unknown."""
        if self._choices.ndim == 2 or not (self._cost > 0).all():
            return float("nan")
        latency = taken(self._course.latency_s, self._choices)
        known = bool(np.isfinite(latency).all())
        prompt = responsiveness(latency, unhurried_s=UNHURRIED_S) if known else None
        dearest = float(np.nanmax(self._course.cost_usd.mean(axis=0)))
        return ies(self._quality, prompt, self._cost / dearest, alpha=0.5 if known else 1.0)

    def curve(self) -> Iterator[Bin]:
        """Yield the run's stretches."""
        n, bins = self._course.n, self._trial.plan.bins
        edges = np.array([len(part) for part in np.array_split(np.arange(n), bins)]).cumsum()
        regret = self._regret.cumsum()
        by_arm = shares(self._choices, arms=len(self._course.arms), bins=bins)
        said = self._said()
        for number, end in enumerate(edges.tolist()):
            rounds = slice(int(edges[number - 1]) if number else 0, end)
            yield Bin(
                **self._where,
                round=end,
                value=float(self._utility[rounds].mean()),
                regret=float(regret[end - 1]),
                cost_usd=float(self._cost[rounds].mean()),
                shares=tuple(map(float, by_arm[number])),
                feedback=int(said[rounds].sum()),
            )

    def _said(self) -> Any:
        """Return in which rounds somebody says something of the arm chosen, (n,); a baseline learns from nobody."""
        if self._choices.ndim == 2 or self._kind == BASELINE:
            return np.zeros(self._course.n, dtype=np.bool_)
        return ~np.isnan(taken(self._course.said, self._choices))


def _one_thread() -> Any:
    try:
        return import_module("threadpoolctl").threadpool_limits(limits=1)
    except ImportError as error:
        raise ConfigError(f"a sweep needs threadpoolctl: pip install 'highwayman[sims]' ({error})") from None
