"""The engine: a policy let loose on a scenario, as in production."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import nan

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import decide
from highwayman.bandit.draw import Draw, Indices, draw_many
from highwayman.bandit.policy import BatchPolicy, Policy
from highwayman.bandit.regression.amount_posterior import AmountPosterior
from highwayman.env.cost.pacer import Pacer
from highwayman.env.types import Context, Floats
from highwayman.sims.simulation.accounts.call_account import CallAccount, WindowRule
from highwayman.sims.simulation.accounts.cascades import SimulatedCascades
from highwayman.sims.simulation.accounts.feedback_queue import FeedbackQueue
from highwayman.sims.simulation.accounts.prompt_caches import PromptCaches
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter, Switching


def simulate(
    policy: Policy,
    scenario: Scenario,
    contexts: Sequence[Context],
    *,
    router: SimulatedRouter,
    rng: np.random.Generator,
    frozen_for: int = 1,
) -> Run:
    """Return what `policy` does on `scenario`, learning from the feedback of what it chose, when that comes.

    Each round is decided by `bandit.decision`, as a router decides a request. Feedback is learned before the first
    round that is not earlier, in the order in which it comes. What comes after the last round is not.

    Args:
        policy: learns while it runs; arms are added and dropped as they join and leave the pool.
        scenario: drawn beforehand, so that several policies can run on the same.
        contexts: of the table's prompts, in its order.
        router: decides with it.
        rng: gives one uniform number a round, from which the arm is drawn: policies given equal generators differ only
            where their probabilities do.
        frozen_for: rounds between two updates; what a policy with `probs_many` answers in one call.

    Raises:
        ValueError: `frozen_for` is less than 1, or the scenario has rows that `contexts` has not.
        NoEligibleArm: no arm is expected to cost as little as the objective allows.
    """
    if frozen_for < 1:
        raise ValueError(f"frozen_for must be >= 1, got {frozen_for!r}")
    if scenario.n and int(scenario.rows.max()) >= len(contexts):
        raise ValueError(f"the scenario asks for prompt {scenario.rows.max()}, contexts has {len(contexts)}")
    if router.pacer is None and scenario.budget_usd is not None:
        router = replace(router, pacer=Pacer(scenario.budget_usd))
    simulation = _Simulation(policy, scenario, contexts, router, rng=rng, frozen_for=frozen_for)
    alone = not scenario.has_tool_loops and scenario.conversations is None and scenario.barred is None
    batched = frozen_for > 1 and router.only_mixes_a_floor and alone
    for start, end in _pools(scenario):
        simulation.offer(start)
        if batched and isinstance(policy, BatchPolicy):
            simulation.in_blocks(start, end, policy)
        else:
            simulation.one_by_one(start, end)
    return simulation.done


def _pools(scenario: Scenario) -> list[tuple[int, int]]:
    """Return the stretches of rounds, from and until, over which the pool stays the same."""
    in_pool = scenario.in_pool
    changes = np.flatnonzero((in_pool[1:] != in_pool[:-1]).any(axis=1)) + 1
    edges = [0, *changes.tolist(), scenario.n]
    return list(pairwise(edges)) if scenario.n else []


class _Simulation:
    """One run under way: what it has done so far, and the feedback it waits for."""

    def __init__(
        self,
        policy: Policy,
        scenario: Scenario,
        contexts: Sequence[Context],
        router: SimulatedRouter,
        *,
        rng: np.random.Generator,
        frozen_for: int,
    ) -> None:
        self._policy, self._scenario, self._router = policy, scenario, router
        self._rng, self._frozen_for = rng, frozen_for
        self._contexts = [contexts[row] for row in scenario.rows.tolist()]  # (n,)
        self._at: list[float] = scenario.at.tolist()
        self._feedback = FeedbackQueue(scenario, self._contexts, self._at)
        self._amounts = AmountPosterior(2) if router.predicts and router.heeds_amounts else None
        needed = router.pacer is not None or router.probation or self._amounts is not None
        self._calls = CallAccount(scenario, self._contexts, self._amounts) if needed else None
        self._budget: WindowRule | None = None
        if router.pacer is not None and self._calls is not None:
            self._budget = WindowRule(router.pacer, self._calls)
        turns = scenario.conversations
        self._caches = None if turns is None else PromptCaches(scenario, turns)
        self._cascades: SimulatedCascades | None = None
        if router.cascade is not None:
            self._cascades = SimulatedCascades(scenario, self._contexts, router.cascade, rng.spawn(1)[0])
        self._columns: Indices = np.empty(0, dtype=np.intp)  # of the arms in the pool
        shape = scenario.quality.shape
        actions: Indices = np.empty(scenario.n, dtype=np.intp)
        penalties = scenario.penalties(router.objective)
        saved_usd = np.zeros(scenario.n)
        self.done = Run(
            actions, np.empty(scenario.n), np.zeros(shape), penalties, np.zeros(shape), saved_usd, np.zeros(shape)
        )
        if self._cascades is not None:
            asked, served = np.zeros(shape, dtype=np.bool_), np.empty_like(actions)
            self.done = replace(self.done, asked=asked, served=served, good=self._cascades.good)

    def offer(self, t: int) -> None:
        """Tell the policy of the arms that joined or left the pool by round t."""
        columns = np.flatnonzero(self._scenario.in_pool[t])
        for k in np.setdiff1d(self._columns, columns):
            self._policy.drop_arm(self._scenario.arms[k])
        for k in np.setdiff1d(columns, self._columns):
            self._policy.add_arm(self._scenario.arms[k])
        self._columns = columns
        self._arms = tuple(self._scenario.arms[k] for k in columns)

    def one_by_one(self, start: int, end: int) -> None:
        """Decide the rounds of a stretch, each by itself."""
        router, done = self._router, self.done
        column_of = dict(zip(self._arms, self._columns.tolist(), strict=True))
        not_exploring = router.objective.with_overrides(explore=False)
        for t in range(start, end):
            self._learn(t)
            self._end_calls(t)
            pool, arms, usd = self._allowed(t, self._expected_usd(t))
            penalties = done.penalties[t, pool] + done.corrections[t, pool]
            holder = self._holder(t)
            if holder is not None and holder in pool and router.switching is Switching.NEVER:
                self._rng.random()  # as if there had been a draw
                expected = dict(zip(pool.tolist(), usd.tolist(), strict=True))
                self._record(t, np.array([holder]), Draw(0, np.ones(1), propensity=1.0), expected_usd=expected)
                continue
            if holder is not None and self._caches is not None:
                penalties = penalties + self._caches.switch_penalties(
                    t, pool, router.objective, served_turns=router.served_turns
                )
            most_usd = None if router.most_usd is None else router.most_usd[pool]
            candidates = Candidates(arms, usd, penalties, self._probation_usd(arms), most_usd=most_usd)
            # What is explored is explored at a conversation's start, and so is what answers are looked at for.
            goes_on = holder is not None or self._scenario.in_a_tool_loop(t)
            limits = not_exploring if goes_on else router.objective
            cascades = None if goes_on else self._cascades
            if cascades is not None:
                candidates = cascades.with_options(self._policy, t, candidates)
            choice = decide(
                self._policy,
                self._contexts[t],
                candidates,
                router.rules,
                limits=limits,
                at=self._at[t],
                rng=self._rng,
                budget=self._budget,
            )
            candidates = choice.candidates
            columns = (
                pool if len(candidates.arms) == len(pool) else np.array([column_of[arm] for arm in candidates.arms])
            )
            if router.pacer is not None:
                done.pressures[t, columns] = router.pacer.penalties(candidates.usd)
            asked = () if cascades is None else cascades.run(self._policy, t, choice, explores=limits.explore)
            expected = dict(zip(columns.tolist(), candidates.usd.tolist(), strict=True))
            self._record(t, columns, choice.draw, asked=asked, expected_usd=expected)

    def _allowed(self, t: int, usd: Floats) -> tuple[Indices, tuple[str, ...], Floats]:
        """Return the columns (K,), names and dollars (K,) of the arms in the pool that may have the round's data."""
        barred, columns = self._scenario.barred, self._columns
        if barred is None or not barred[t, columns].any():
            return columns, self._arms, usd
        may = ~barred[t, columns]
        return columns[may], tuple(self._scenario.arms[k] for k in columns[may].tolist()), usd[may]

    def _end_calls(self, t: int) -> None:
        """Charge the calls that have ended by round t, and learn what they took, if an update is due."""
        if self._calls is not None:
            self._calls.end_by(self._at[t], self._router.pacer)
            if not t % self._frozen_for:
                self._calls.teach()

    def _expected_usd(self, t: int) -> Floats:
        """Return the dollars that a call to each arm of the pool is expected to cost, (K,), and note what that adds.

        The price list says what an arm's calls cost on average, and calls that have ended how much more this prompt's
        takes. Energy is taken to grow with dollars.
        """
        scenario, pool, arms = self._scenario, self._columns, self._arms
        usd: Floats = scenario.price_usd[t, pool]
        if self._amounts is None:
            return usd
        ratios = self._amounts.expected_ratios(self._contexts[t].features, arms)
        usd = usd * ratios[:, 0]
        seconds, wh = scenario.expected_latency_s, scenario.expected_wh
        penalties = self._router.objective.penalties(
            usd,
            None if seconds is None else seconds[t, pool] * ratios[:, 1],
            None if wh is None else wh[t, pool] * ratios[:, 0],
        )
        self.done.corrections[t, pool] = penalties - self.done.penalties[t, pool]
        return usd

    def in_blocks(self, start: int, end: int, policy: BatchPolicy) -> None:
        """Decide the rounds of a stretch, from one update to the next at once, where only a floor is mixed in."""
        done, columns, arms = self.done, self._columns, self._arms
        updates = range(start - start % self._frozen_for + self._frozen_for, end, self._frozen_for)
        for first, last in pairwise([start, *updates, end]):
            self._learn(first)
            self._end_calls(first)
            for t in range(first, last):
                self._expected_usd(t)
            block = slice(first, last)
            features = np.stack([context.features for context in self._contexts[block]])
            penalties = done.penalties[block, columns] + done.corrections[block, columns]
            probs = policy.probs_many(features, arms, penalties)
            floor = self._router.rules.floor_for(self._policy, features, arms, penalties)
            actions, mixed = draw_many(probs, floor=floor, uniforms=self._rng.random(last - first))
            done.actions[block] = columns[actions]
            done.propensities[block] = mixed[np.arange(last - first), actions]
            done.probs[block, columns] = mixed
            for t in range(first, last):
                self._feedback.put(t, int(done.actions[t]))
                if self._calls is not None:
                    self._calls.begin(t, int(done.actions[t]), saved_usd=0.0, expected_usd=nan)

    def _holder(self, t: int) -> int | None:
        """Return the arm that answered the turn before, None where that is to make no difference."""
        if self._caches is None or self._router.switching is Switching.UNPRICED:
            return None
        return self._caches.holder(t)

    def _probation_usd(self, arms: Sequence[str]) -> list[float | None] | None:
        """Return what each arm on probation has cost so far, None for the others; None if there is none."""
        probation = self._router.probation
        if self._calls is None or not any(arm in probation for arm in arms):
            return None
        return [self._calls.spent_usd(arm) if arm in probation else None for arm in arms]

    def _record(
        self, t: int, columns: Indices, draw: Draw, *, expected_usd: Mapping[int, float], asked: Sequence[int] = ()
    ) -> None:
        action = int(columns[draw.action])
        asked = asked or [action]
        served = asked[-1]
        self.done.actions[t], self.done.propensities[t] = action, draw.propensity
        self.done.probs[t, columns] = draw.probs
        if self.done.asked is not None and self.done.served is not None:
            self.done.asked[t, asked], self.done.served[t] = True, served
        self._feedback.put(t, served)
        if self._caches is not None:
            self.done.penalties[t] -= self._caches.savings(t, self._router.objective)
            self.done.saved_usd[t] = self._caches.saved_share(t, action) * self._scenario.cost_usd[t, action]
            self._caches.on_answer(t, served)
        if self._calls is not None:
            for call in asked:
                saved_usd = float(self.done.saved_usd[t]) if call == action else 0.0
                most_usd = nan if self._router.most_usd is None else float(self._router.most_usd[call])
                self._calls.begin(t, call, saved_usd=saved_usd, expected_usd=expected_usd[call], most_usd=most_usd)

    def _learn(self, t: int) -> None:
        """Let the policy learn the feedback that has come by round t, if an update is due."""
        if t % self._frozen_for:
            return
        changes = [
            change if self._cascades is None else self._cascades.learn(self._policy, answered, change)
            for answered, change in self._feedback.come_by(self._at[t])
        ]
        if changes:
            self._policy.learn(changes)
