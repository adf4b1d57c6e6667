"""The engine: a course drawn from a table and worlds, and a policy let loose on it as in production."""

from collections.abc import Sequence
from hashlib import sha256
from heapq import heappop, heappush
from itertools import pairwise
from math import isnan
from typing import Protocol, runtime_checkable

import numpy as np

from highwayman.bandit.draw import Draw, draw
from highwayman.bandit.policy import Policy
from highwayman.env.cost.pacer import Pacer
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import Indices
from highwayman.sims.simulation.draw_many import draw_many
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario, Stage, World, WorldError, stationary
from highwayman.sims.tables.table import FullTable


@runtime_checkable
class BatchPolicy(Protocol):
    """What a policy may offer besides: probabilities of many contexts in one call."""

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one purpose: the same for the same seed and name, independent of any other's."""
    number = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def draw_scenario(table: FullTable, worlds: Sequence[World], *, rounds: int, seed: int) -> Scenario:
    """Return a course of `rounds` rounds of prompts from `table`, as `worlds` have it. Raises WorldError."""
    return compose(stationary(table, rounds=rounds, rng=generator(seed, "prompts")), worlds, seed=seed)


def compose(scenario: Scenario, worlds: Sequence[World], *, seed: int) -> Scenario:
    """Return the course with worlds applied stage by stage, within a stage in the order given.

    Each draws from a generator named after its class, and numbered if there are several of one: adding a world leaves
    the noise of the others alone. Of two worlds that say something of the same answer, the later one is heard.

    Raises:
        WorldError: a world does not fit the course, or a round is left without any arm.
    """
    counts: dict[str, int] = {}
    heard = False
    for world in sorted(worlds, key=lambda one: one.stage):
        name = type(world).__name__
        counts[name] = counts.get(name, 0) + 1
        changed = world.apply(scenario, generator(seed, f"{name} {counts[name]}"))
        if heard and world.stage is Stage.FEEDBACK:
            changed = changed.replace(
                feedback=np.where(np.isnan(changed.feedback), scenario.feedback, changed.feedback)
            )
        heard = heard or world.stage is Stage.FEEDBACK
        scenario = changed
    empty = ~scenario.available.any(axis=1)
    if empty.any():
        raise WorldError(f"no arm is left in the pool in round {int(np.flatnonzero(empty)[0])}; remove fewer")
    return scenario


def simulate(
    policy: Policy,
    scenario: Scenario,
    contexts: Sequence[Context],
    *,
    cost_weight: float,
    floor: float,
    rng: np.random.Generator,
    pacer: Pacer | None = None,
    frozen_for: int = 1,
) -> Run:
    """Return what `policy` does on `scenario`, learning from the feedback of what it chose, when that comes.

    Feedback is taught before the first round that is not earlier, in the order in which it comes. What comes after
    the last round is not.

    Args:
        policy: learns while it runs; arms are added and dropped as they join and leave the pool.
        course: drawn beforehand, so that several policies can run on the same.
        contexts: of the table's prompts, in its order.
        cost_weight: as in `env.objective`.
        floor: share of the probability that is spread evenly over the eligible arms.
        rng: gives one uniform number a round, from which the arm is drawn: policies given equal generators differ only
            where their probabilities do.
        pacer: holds a budget; None: a new one if the course has a budget.
        frozen_for: rounds between two lessons; what a policy with `probs_many` answers in one call.

    Raises:
        ValueError: `frozen_for` is less than 1, or the course has rows that `contexts` has not.
    """
    if frozen_for < 1:
        raise ValueError(f"frozen_for must be >= 1, got {frozen_for!r}")
    if scenario.n and int(scenario.rows.max()) >= len(contexts):
        raise ValueError(f"the course asks for prompt {scenario.rows.max()}, contexts has {len(contexts)}")
    if pacer is None and scenario.budget_usd is not None:
        pacer = Pacer(scenario.budget_usd)
    penalties = scenario.penalties(cost_weight)
    under_way = _Simulation(policy, scenario, contexts, penalties, floor=floor, rng=rng, frozen_for=frozen_for)
    for start, end in _pools(scenario):
        under_way.offer(start)
        if pacer is not None:
            under_way.paced(start, end, pacer)
        elif frozen_for > 1 and isinstance(policy, BatchPolicy):
            under_way.in_blocks(start, end, policy)
        else:
            under_way.one_by_one(start, end)
    return under_way.done


def _pools(scenario: Scenario) -> list[tuple[int, int]]:
    """Return the stretches of rounds, from and until, over which the pool stays the same."""
    changes = np.flatnonzero((scenario.available[1:] != scenario.available[:-1]).any(axis=1)) + 1
    edges = [0, *changes.tolist(), scenario.n]
    return list(pairwise(edges)) if scenario.n else []


class _Simulation:
    """One run under way: what it has done so far, and the feedback it waits for."""

    def __init__(
        self,
        policy: Policy,
        scenario: Scenario,
        contexts: Sequence[Context],
        penalties: Floats,
        *,
        floor: float,
        rng: np.random.Generator,
        frozen_for: int,
    ) -> None:
        self._policy, self._course, self._floor, self._rng, self._every = policy, scenario, floor, rng, frozen_for
        self._contexts = [contexts[row] for row in scenario.rows.tolist()]  # (n,)
        self._at: list[float] = scenario.at.tolist()
        self._coming: list[tuple[float, int, int, float]] = []  # a heap of feedback: when, round, action, what is said
        self._running: list[
            tuple[float, int, float, float]
        ] = []  # calls under way, a heap: end, round, dollars, expected ones
        self._columns: Indices = np.empty(0, dtype=np.intp)  # of the arms in the pool
        shape = scenario.quality.shape
        actions: Indices = np.empty(scenario.n, dtype=np.intp)
        self.done = Run(actions, np.empty(scenario.n), np.zeros(shape), penalties, np.zeros(shape))

    def offer(self, t: int) -> None:
        """Tell the policy of the arms that joined or left the pool by round t."""
        columns = np.flatnonzero(self._course.available[t])
        for k in np.setdiff1d(self._columns, columns):
            self._policy.drop_arm(self._course.arms[k])
        for k in np.setdiff1d(columns, self._columns):
            self._policy.add_arm(self._course.arms[k])
        self._columns = columns

    def one_by_one(self, start: int, end: int) -> None:
        """Decide the rounds of a stretch, each by itself."""
        policy, columns, arms = self._policy, self._columns, self._names(self._columns)
        for t, penalties in enumerate(self.done.penalties[start:end, columns], start):
            self._learn(t)
            drawn = draw(policy.probs(self._contexts[t], arms, penalties), floor=self._floor, rng=self._rng)
            self._record(t, columns, drawn)

    def paced(self, start: int, end: int, pacer: Pacer) -> None:
        """Decide the rounds of a stretch under a budget, charging what each call cost when it has ended."""
        policy, scenario, done = self._policy, self._course, self.done
        pool, names = self._columns, self._names(self._columns)
        for t, expected_usd in enumerate(scenario.price_usd[start:end, pool], start):
            self._learn(t)
            self._charge(t, pacer)
            columns, arms, pressures = pool, names, pacer.penalties(expected_usd)
            if pacer.hard:
                may_run = ~pacer.over_budget(expected_usd)
                columns, pressures = pool[may_run], pressures[may_run]
                arms = self._names(columns)
            done.pressures[t, columns] = pressures
            probs = policy.probs(self._contexts[t], arms, done.penalties[t, columns] + pressures)
            self._record(t, columns, draw(probs, floor=self._floor, rng=self._rng))
            self._call(t)

    def in_blocks(self, start: int, end: int, policy: BatchPolicy) -> None:
        """Decide the rounds of a stretch, from one lesson to the next at once."""
        done, columns, arms = self.done, self._columns, self._names(self._columns)
        lessons = range(start - start % self._every + self._every, end, self._every)
        for first, last in pairwise([start, *lessons, end]):
            self._learn(first)
            block = slice(first, last)
            features = np.stack([context.features for context in self._contexts[block]])
            probs = policy.probs_many(features, arms, done.penalties[block, columns])
            actions, mixed = draw_many(probs, floor=self._floor, uniforms=self._rng.random(last - first))
            done.actions[block] = columns[actions]
            done.propensities[block] = mixed[np.arange(last - first), actions]
            done.probs[block, columns] = mixed
            for t in range(first, last):
                self._await(t, int(done.actions[t]))

    def _names(self, columns: Indices) -> tuple[str, ...]:
        return tuple(self._course.arms[k] for k in columns)

    def _record(self, t: int, columns: Indices, drawn: Draw) -> None:
        action = int(columns[drawn.action])
        self.done.actions[t], self.done.propensities[t] = action, drawn.propensity
        self.done.probs[t, columns] = drawn.probs
        self._await(t, action)

    def _await(self, t: int, action: int) -> None:
        """Put what will be said of round t's answer, if anything, among the feedback to come."""
        said = float(self._course.feedback[t, action])
        if not isnan(said):
            heappush(self._coming, (self._at[t] + float(self._course.delay_s[t, action]), t, action, said))

    def _learn(self, t: int) -> None:
        """Teach the policy what has been said by round t, if it is time for a lesson."""
        coming, now = self._coming, self._at[t]
        if t % self._every or not coming or coming[0][0] > now:
            return
        changes = []
        while coming and coming[0][0] <= now:
            _, answered, action, said = heappop(coming)
            features = self._contexts[answered].features
            changes.append(RewardChange(self._course.arms[action], features, 1.0, said, said**2, self._at[answered]))
        self._policy.learn(changes)

    def _call(self, t: int) -> None:
        """Put round t's call among those under way."""
        action = self.done.actions[t]
        cost, took_s = float(self._course.cost_usd[t, action]), float(self._course.latency_s[t, action])
        ended = self._at[t] + (0.0 if isnan(took_s) else took_s)
        expected = float(self._course.price_usd[t, action])
        heappush(self._running, (ended, t, 0.0 if isnan(cost) else cost, expected))

    def _charge(self, t: int, pacer: Pacer) -> None:
        """Charge the calls that have ended by round t, in the order in which they did."""
        while self._running and self._running[0][0] <= self._at[t]:
            _, _, cost, expected = heappop(self._running)
            pacer.charge(cost, expected)
