"""Who decides here, and for how much of the traffic: the ramp in force, with the policies that it names."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from highwayman.bandit.decision import ChallengerShare, Dial, ExplorationRules
from highwayman.bandit.policy import Policy
from highwayman.env.cost.objective import Objective
from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.store import Store
from highwayman.feedback.tournament.ramp import BEST_CONSTANT, Ramp
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.serving.state.live_policy import LivePolicy

_POLL_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnRules:
    """What a contender's configuration says of how it decides, beside its policy."""

    floor: float
    floor_loss: float | None
    objective: Objective | None = None  # None: that of each request


class LiveRamp:
    """The ramp as this process follows it; where a policy that it names is not there, the configured one decides."""

    def __init__(
        self,
        on_ramp: Callable[[Ramp], None] = lambda ramp: None,
        own: Mapping[str, OwnRules] | None = None,
        *,
        first: str = CONFIGURED,
    ) -> None:
        """Start with `first` alone; `on_ramp` is told of every other, `own` is by contender."""
        self._first = first
        self.ramp = Ramp(first)  # as it is in force; who of it is there, `_live` says
        self._on_ramp = on_ramp
        self._own = own or {}
        self._live: dict[str, LivePolicy] = {}
        self.is_on = False  # whether any of them is there, so that others than the configured one may decide
        self.policy_name = ""  # what decisions say of who decided, empty where the configured policy does alone
        self._added: tuple[str, ...] = ()  # arms, since the start
        # Those of their own that the champion and the challenger on the ramp have; each request asks for them.
        self.objectives: Mapping[str, Objective] = {}

    def add_arms(self, names: Iterable[str]) -> None:
        """Let whoever decides, now or later, choose further arms."""
        self._added = tuple(dict.fromkeys([*self._added, *names]))
        for live in self._live.values():
            live.add_arms(self._added)

    def champion_for(self, tenant: str) -> Policy | None:
        """Return the champion's policy for a tenant, None where the configured one decides."""
        return self._policy(self.ramp.champion, tenant)

    def rules_for(
        self, tenant: str, rules: ExplorationRules, dials: Mapping[str, Dial] = MappingProxyType({})
    ) -> ExplorationRules:
        """Return the rules with floors and dials of who decides, as they were scored, and the challenger on the ramp.

        Args:
            tenant: whose policies decide.
            rules: the configured ones.
            dials: of those that `objectives` names, for this request.
        """
        champion, challenger = self.ramp.champion, self.ramp.challenger
        own = self._own.get(champion) if champion in self._live else None
        if own is not None:
            rules = replace(rules, floor=own.floor, floor_loss=own.floor_loss, dial=dials.get(champion))
        policy = self._policy(challenger, tenant)
        if policy is None:
            return rules
        other = self._own.get(challenger)
        floor, floor_loss = (None, None) if other is None else (other.floor, other.floor_loss)
        share = ChallengerShare(policy, self.ramp.share, floor, floor_loss, dial=dials.get(challenger))
        return replace(rules, challenger=share)

    def _policy(self, name: str, tenant: str) -> Policy | None:
        live = self._live.get(name)
        if live is None:
            return None
        return live.policy if name == BEST_CONSTANT else live.policy_for(tenant)  # one arm is best for all of them

    def _name(self) -> str:
        champion = self.ramp.champion if self.ramp.champion in self._live else CONFIGURED
        if self.ramp.challenger in self._live:
            return f"{champion}+{self.ramp.challenger}@{self.ramp.share:g}"
        return "" if champion == CONFIGURED else champion

    async def refresh(self, store: Store, make_live: Callable[[str], LivePolicy | None]) -> None:
        """Follow what is in force. Raises StoreUnavailable.

        Args:
            store: says who decides.
            make_live: returns what follows a contender's versions, None for one that is not configured.
        """
        ramp, live = Ramp.from_json(await store.ramp(), first=self._first), dict[str, LivePolicy]()
        for name in (ramp.champion, ramp.challenger):
            has_own = name and not name == CONFIGURED == ramp.champion  # the champion configured is live anyway
            policy = (self._live.get(name) or make_live(name)) if has_own else None
            if policy is not None:
                policy.add_arms(self._added)
                await policy.refresh()
                live |= {name: policy} if policy.version else {}
        changed = ramp != self.ramp
        self.ramp, self._live = ramp, live
        self.is_on, self.policy_name = bool(live), self._name()
        own = {name: self._own[name].objective for name in live if name in self._own}
        self.objectives = {name: objective for name, objective in own.items() if objective is not None}
        if changed:
            self._on_ramp(ramp)

    async def run(self, store: Store, make_live: Callable[[str], LivePolicy | None]) -> None:
        """Follow it until cancelled; while Redis is away, all stays as it is."""
        while True:
            try:
                await self.refresh(store, make_live)
            except StoreUnavailable as error:
                log.debug("who decides is not known: %s", error)
            await asyncio.sleep(_POLL_S)
