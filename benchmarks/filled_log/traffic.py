"""Requests of two tenants over some hours: decided by a policy that learns from the feedback as it comes."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from benchmarks.filled_log.answers import Answers
from benchmarks.filled_log.statements import Statements
from benchmarks.filled_log.steps import CHAMPIONS, Champion
from benchmarks.filled_log.world import TASK, TASKS, TENANT, TOKENS_OUT, World
from highwayman.bandit.candidates import Candidates
from highwayman.bandit.control_slice import ControlSlice
from highwayman.bandit.decision import ExplorationRules, decide
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.bandit.tenants import TenantPolicies
from highwayman.demo.questions.prompts import KINDS, Prompt, generate
from highwayman.env.cost.objective import Objective
from highwayman.env.data_class import NOT_STORED, Clearance, DataClass
from highwayman.env.encoder.encoder import TIMEOUT, Encoder
from highwayman.env.reward import RewardSpec
from highwayman.env.types import (
    DEFAULT_TENANT,
    SHADOW_OF_FLAG,
    Context,
    Decision,
    Feedback,
    Floats,
    Mode,
    Outcome,
    Query,
    RewardChange,
    Status,
)
from highwayman.feedback.intake.decision_ids import DecisionIds

_TENANT_SHARE: Final = 0.3
_MIX: Final = {  # of the kinds, in the order of their names
    DEFAULT_TENANT: {"facts": 0.36, "sentiment": 0.1, "extraction": 0.16, "formatting": 0.22, "arithmetic": 0.16},
    TENANT: {"facts": 0.08, "sentiment": 0.44, "extraction": 0.34, "formatting": 0.1, "arithmetic": 0.04},
}
_OFTEN: Final = {
    "facts": 0,
    "sentiment": 1,
    "extraction": 1,
    "formatting": 2,
    "arithmetic": 0,
}  # each kind's usual task
_PERSONAL = Clearance(
    DataClass.PERSONAL, frozenset({"default"}), "privacy.classes.personal", ("email",), is_stored=False
)
_CASCADE, _FORCED, _STICKY, _SHADOW, _LATE, _LIES = 0.06, 0.02, 0.01, 0.04, 0.006, 0.25
_PEOPLE: Final = 12
_PROMPTS: Final = 600

Written = Decision | Outcome | Feedback


@dataclass(slots=True)
class Traffic:
    """Makes the events of decisions, calls and feedback; what is drawn comes from `rng`."""

    world: World
    encoder: Encoder
    policies: TenantPolicies
    spec: RewardSpec
    objective: Objective
    ids: DecisionIds  # whose clock is `clock`
    clock: "Clock"
    rng: np.random.Generator
    keep_prompts: bool = False
    _lessons: list[tuple[float, int, str, RewardChange]] = field(default_factory=list, init=False)

    def events(self, decisions: int, *, begin: float, liar_from: float, liar_until: float) -> Iterator[Written]:
        """Yield the events of so many requests, not yet in order, the first at `begin` (seconds since the epoch).

        A client that lies is heard of from one second after the first on, and is in quarantine from the other on.
        """
        prompts = _by_kind(generate(_PROMPTS, seed=int(self.rng.integers(2**31))))
        statements = Statements(self.rng)
        for second in self._seconds(decisions):
            self._learn(upto=second)
            self.clock.now = begin + second
            tenant = TENANT if self.rng.random() < _TENANT_SHARE else DEFAULT_TENANT
            kind = self._kind(tenant, second)
            prompt = prompts[kind][int(self.rng.integers(len(prompts[kind])))]
            decision = self._decided(tenant, kind, prompt, second)
            if self.keep_prompts and NOT_STORED not in decision.context.flags:
                decision = replace(decision, prompt=prompt.text)
            able = self.world.chance(kind, decision.arm, second)
            outcome = (
                self._answers.with_stages(decision, second, able)
                if decision.mode is Mode.CASCADE
                else self._answers.outcome(decision, second)
            )
            yield decision
            yield outcome
            if outcome.status is not Status.OK:
                continue
            good = self.rng.random() < self.world.chance(kind, outcome.arm, second)
            lies = tenant == TENANT and liar_from <= second and self.rng.random() < _LIES
            said = list(
                statements.about(decision, good=good, user=decision.user, lies=lies, quarantined=second >= liar_until)
            )
            yield from said
            self._remember(decision, outcome, said, begin)
            if any(statement.source == "judge" for statement in said):
                yield from self._internal(decision, Mode.FORCED, "judge", second)
            if self.rng.random() < _SHADOW:
                yield from self._internal(decision, Mode.SHADOW, "shadow", second)

    @property
    def _answers(self) -> Answers:
        return Answers(self.world, self.rng)

    def _seconds(self, count: int) -> list[float]:
        """Return when requests come: more of them by day."""
        grid = np.linspace(0.0, self.world.hours * 3600.0, 2_000)
        rate = 1.0 + 0.75 * np.sin(2 * np.pi * (grid / 86_400.0 - 0.3))
        heights = np.concatenate([[0.0], np.cumsum(rate)[1:]])
        times: Floats = np.interp(np.sort(self.rng.random(count)) * heights[-1], heights, grid)
        return times.tolist()

    def _kind(self, tenant: str, second: float) -> str:
        mix = dict(_MIX[tenant])
        if second >= self.world.at(0.5):
            mix["arithmetic"] *= 2.5
        shares = np.array([mix[kind] for kind in sorted(KINDS)])
        return sorted(KINDS)[int(self.rng.choice(len(shares), p=shares / shares.sum()))]

    def _decided(self, tenant: str, kind: str, prompt: Prompt, second: float) -> Decision:
        arms = self.world.pool_at(second)
        task = _OFTEN[kind] if self.rng.random() < 0.8 else int(self.rng.integers(len(TASKS)))
        context = self.encoder.encode_blocking(Query(prompt.text, len(prompt.text), tags=((TASK, task),)))
        if self.rng.random() < _LATE:
            context = self.encoder.without_text(Query(prompt.text, len(prompt.text)), TIMEOUT)
        if "@" in prompt.text:
            context = replace(context, flags=context.flags | _PERSONAL.flags)
        names = tuple(arm.name for arm in arms)
        usd = np.array([((context.prompt_tokens + 110) * (arm.usd_per_mtok_in or 0.0) + TOKENS_OUT[arm.name]
                         * (arm.usd_per_mtok_out or 0.0)) / 1e6 for arm in arms])  # fmt: skip
        candidates = Candidates(names, usd, self.objective.penalties(usd))
        user = self.ids.pseudonym(f"{tenant} {int(self.rng.integers(_PEOPLE))}")
        draw = self.rng.random()
        mode = next(
            (mode for mode, upto in ((Mode.FORCED, _FORCED), (Mode.STICKY, _FORCED + _STICKY)) if draw < upto), None
        )
        if mode is not None:
            return self._named(tenant, names, candidates, context, mode=mode, user=user)
        champion = next(champion for champion in reversed(CHAMPIONS) if second >= self.world.at(champion.begins))
        rules = ExplorationRules(0.02, floor_loss=FLOOR_LOSS, control=ControlSlice(0.05, {"plain": 1.0}))
        choice = decide(
            self.policies.policy_for(tenant), context, candidates, rules,
            limits=self.objective, at=self.clock.now, rng=self.rng,
        )  # fmt: skip
        cascades = self.rng.random() < _CASCADE and not (choice.control and choice.control.is_control)
        told = choice.control.flags if choice.control is not None and not cascades else frozenset()
        return self._record(
            tenant, replace(context, flags=context.flags | told), candidates, choice.draw.probs, choice.draw.action,
            mode=Mode.CASCADE if cascades else Mode.ROUTE, objective="auto", user=user, champion=champion,
        )  # fmt: skip

    def _named(
        self, tenant: str, names: Sequence[str], candidates: Candidates, context: Context, *, mode: Mode, user: str
    ) -> Decision:
        """Return a decision that no policy took."""
        action = int(self.rng.integers(len(names)))
        only = Candidates((names[action],), candidates.usd[[action]], candidates.penalties[[action]])
        objective = "as_named" if mode is Mode.FORCED else "auto"
        return self._record(tenant, context, only, np.ones(1), 0, mode=mode, objective=objective, user=user)

    def _record(  # noqa: PLR0913, PLR0917  (the event's fields)
        self, tenant: str, context: Context, candidates: Candidates, probs: Floats, action: int,
        *, mode: Mode, objective: str, user: str = "", champion: Champion = CHAMPIONS[0],
    ) -> Decision:  # fmt: skip
        return Decision(
            self.ids.issue(tenant), tenant, self.clock.now, context, candidates.arms, candidates.penalties, probs,
            action, float(probs[action]), champion.policy, int(self.clock.now) % 100_000, objective, mode, user,
        )  # fmt: skip

    def _internal(self, cause: Decision, mode: Mode, objective: str, second: float) -> Iterator[Written]:
        """Yield a call of the router's own: a judge's, or a second answer that nobody sees."""
        arms = tuple(arm.name for arm in self.world.pool_at(second))
        context = cause.context
        if mode is Mode.SHADOW:
            arms = tuple(name for name in arms if name != cause.arm)
            context = replace(context, flags=frozenset({SHADOW_OF_FLAG + cause.id}))
        n = len(arms)
        action = int(self.rng.integers(n)) if mode is Mode.SHADOW else arms.index("plain")
        probs = np.full(n, 1 / n) if mode is Mode.SHADOW else np.eye(n)[action]
        candidates = Candidates(arms, np.zeros(n), np.zeros(n))
        decision = self._record(cause.tenant, context, candidates, probs, action, mode=mode, objective=objective)
        yield decision
        yield self._answers.outcome(decision, second)

    def _remember(self, decision: Decision, outcome: Outcome, said: Sequence[Feedback], begin: float) -> None:
        """Keep what the policy will learn of an answer, for when its last statement comes."""
        reward = self.spec.reward(said)
        if not reward.weight or decision.mode is Mode.FORCED:
            return
        due = max(statement.at for statement in said) - begin
        w, q = reward.weight, reward.quality
        change = RewardChange(outcome.arm, decision.context.features, w, w * q, w * q * q, decision.at)
        heapq.heappush(self._lessons, (due, len(self._lessons), decision.tenant, change))

    def _learn(self, *, upto: float) -> None:
        while self._lessons and self._lessons[0][0] <= upto:
            _, _, tenant, change = heapq.heappop(self._lessons)
            if len(change.features) == self.encoder.d:
                self.policies.policy_for(tenant).learn([change])


@dataclass(slots=True)
class Clock:
    """A clock that is set."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time it was set to, in seconds since the epoch."""
        return self.now


def _by_kind(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    kinds: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        kinds.setdefault(prompt.kind, []).append(prompt)
    return kinds
