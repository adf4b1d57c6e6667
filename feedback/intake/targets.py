"""Which decisions a submission means, or, while there are none, the names they will be found under."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.errors import InvalidFeedback, StoreUnavailable, UnknownDecision
from highwayman.env.metric import Metric
from highwayman.env.types import Status
from highwayman.feedback.intake.decision_ids import DecisionIds, without_prefix
from highwayman.feedback.intake.submission import FeedbackTarget
from highwayman.feedback.log.record import Record

UNNAMED = "unnamed"  # kind of link: answers of a conversation whose requests named themselves by no id


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """The decisions that are meant, or, while there are none, the names they will be found under."""

    decision_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    direct: bool = False  # by the id of the one decision


@dataclass(frozen=True, slots=True)
class TargetResolver:
    """Finds a tenant's decisions by their ids, and by the ids that its clients gave them."""

    ids: DecisionIds
    linked_decisions: Callable[[str], Awaitable[Sequence[str]]]  # by name, oldest first
    clock: Callable[[], float]  # seconds since the epoch
    window_s: float  # how long a decision takes feedback, if its metric says no less
    linked_decisions_of: Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[str]]]] | None = None  # of several
    # Of decisions, what came of them; None: nobody looks, and all that are found under a name are meant.
    records: Callable[[Sequence[str]], Awaitable[Mapping[str, Record]]] | None = None

    async def resolve(self, target: FeedbackTarget, metric: Metric, tenant: str, *, within: str = "") -> ResolvedTarget:
        """Return the decisions meant.

        `within` is the conversation of the request meant: where nothing is known of the request, its answers are meant
        that came without an id of their own. What came with another one is not.

        Raises:
            InvalidFeedback: the target is empty.
            UnknownDecision: all of them are too old, or somebody else's.
            StoreUnavailable: names cannot be looked up.
        """
        if target.generation_id:
            return await self._generation(target, metric, tenant)
        if target.decision_id:
            decision_id = without_prefix(target.decision_id)
            self.ids.verify(decision_id, tenant)
            return ResolvedTarget(self._still_open([decision_id], metric, tenant), direct=True)
        named = without_prefix(target.request_id)
        if named and self.ids.issued_at(named, tenant) is not None:
            return ResolvedTarget(self._still_open([named], metric, tenant), direct=True)
        kind, name = ("request", target.request_id) if target.request_id else ("conversation", target.conversation_id)
        if not name:
            raise InvalidFeedback("say which answer: one of decision_id, request_id and conversation_id")
        links = (*self.ids.links(kind, name, tenant), *(self.ids.links(UNNAMED, within, tenant) if within else ()))
        for link in links:
            decision_ids = await self.linked_decisions(link)
            if decision_ids:
                still_open = self._still_open(decision_ids, metric, tenant)
                if self.records is None or len(still_open) == 1:
                    return ResolvedTarget(still_open)
                return ResolvedTarget(answered(still_open, await self.records(still_open)))
        return ResolvedTarget(names=links)

    def names(self, target: FeedbackTarget, tenant: str, *, within: str = "") -> tuple[str, ...]:
        """Return the names under which what is meant will be found, without a look whether it is there.

        None where it is addressed by a decision's own id, which needs no look-up, or by nothing.
        """
        request_id = target.generation_id or target.request_id
        kind, name = ("request", request_id) if request_id else ("conversation", target.conversation_id)
        if target.decision_id or not name:
            return ()
        return (*self.ids.links(kind, name, tenant), *(self.ids.links(UNNAMED, within, tenant) if within else ()))

    async def looked_up(self, targets: Sequence[FeedbackTarget], tenant: str) -> "TargetResolver":
        """Return a resolver that has looked up the names of these targets already, together, or that it cannot."""
        if self.linked_decisions_of is None:
            return self
        names = [name for target in targets for name in self._all_names(target, tenant)]
        known: Mapping[str, Sequence[str]] = {}
        records: Mapping[str, Record] = {}
        failure: StoreUnavailable | None = None
        try:
            known = await self.linked_decisions_of(names)
            if self.records is not None:
                records = await self.records([each for ids in known.values() if len(ids) > 1 for each in ids])
        except StoreUnavailable as error:
            failure = error

        async def linked_decisions(name: str) -> Sequence[str]:
            if failure is not None:
                raise failure
            return known[name] if name in known else await self.linked_decisions(name)

        async def records_of(decision_ids: Sequence[str]) -> Mapping[str, Record]:
            return records

        return replace(self, linked_decisions=linked_decisions, records=self.records and records_of)

    def _all_names(self, target: FeedbackTarget, tenant: str) -> tuple[str, ...]:
        """Return every name that a target may be looked up under: of a generation, that of the whole, too."""
        whole = FeedbackTarget(request_id=target.request_id) if target.generation_id else None
        return self.names(target, tenant) + (self.names(whole, tenant) if whole is not None else ())

    async def _generation(self, target: FeedbackTarget, metric: Metric, tenant: str) -> ResolvedTarget:
        """Return the one answer meant: under its own id, or as the only one that the whole has."""
        own = await self.resolve(FeedbackTarget(request_id=target.generation_id), metric, tenant)
        if own.decision_ids or not target.request_id:
            return own
        whole = await self.resolve(FeedbackTarget(request_id=target.request_id), metric, tenant)
        return whole if len(whole.decision_ids) == 1 else own

    def _still_open(self, decision_ids: Sequence[str], metric: Metric, tenant: str) -> tuple[str, ...]:
        """Return which decisions still take this feedback. Raises UnknownDecision where none does."""
        window_s = min(self.window_s, metric.window_s or self.window_s)
        now = self.clock()
        ages_s = {name: now - (self.ids.issued_at(name, tenant) or 0.0) for name in decision_ids}
        still_open = tuple(name for name, age_s in ages_s.items() if age_s <= window_s)
        if not still_open:
            raise UnknownDecision(f"This decision no longer takes feedback: it was made more than {window_s:g} s ago.")
        return still_open


def answered(decision_ids: Sequence[str], records: Mapping[str, Record]) -> tuple[str, ...]:
    """Return which of the decisions under one name a statement can mean.

    These are not those that are known to have no answer, nor those whose answer broke off and that were asked again: a
    client that tries again sends the same ids again, and what is said is about what it got in the end. Where none has
    an answer, all of them are meant.
    """
    outcomes = {name: record.outcome for name, record in records.items()}
    meant = tuple(name for name in decision_ids if (outcome := outcomes.get(name)) is None or outcome.answered)
    whole = [name for name in meant if (outcome := outcomes.get(name)) is not None and outcome.status is Status.OK]
    repeated = {
        name
        for name in meant
        if name in records and name not in whole and any(_are_alike(records[name], records[other]) for other in whole)
    }
    return tuple(name for name in meant if name not in repeated) or tuple(decision_ids)


def may_mean(decision_ids: Sequence[str], records: Mapping[str, Record]) -> bool:
    """Return whether any of the decisions under one name has an answer, or may yet have."""
    outcomes = [records[name].outcome if name in records else None for name in decision_ids]
    return any(outcome is None or outcome.answered for outcome in outcomes)


def _are_alike(broken: Record, other: Record) -> bool:
    """Return whether the question of a decision whose answer broke off is known to be that of another one."""
    if broken.decision is None or broken.outcome is None or other.decision is None:
        return False
    context, others = broken.decision.context, other.decision.context
    return context.prompt_tokens == others.prompt_tokens and np.array_equal(context.features, others.features)
