"""Taking statements back: what of a statement still stands, and what is filed so that it does no more."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from highwayman.env.errors import UnknownDecision
from highwayman.env.reward import dedup_key
from highwayman.env.types import Feedback
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.feedback_ids import is_linked, link_of, linked_id, new_feedback_id, split_public_id
from highwayman.feedback.log.record import Record


@dataclass(frozen=True, slots=True)
class FiledStatement:
    """What was filed under a name."""

    public_id: str
    standing: Mapping[str, Feedback | None]  # by decision; None: replaced, or taken back before

    def retractions(self, *, at: float, said_at: float | None = None) -> list[Feedback]:
        """Return what takes back all of it that stands, filed at `at` and said then or at `said_at` (s, epoch).

        What was said later than that is left to stand.
        """
        statements = [statement for statement in self.standing.values() if statement is not None]
        return [retraction_of(each, at=at) for each in statements if said_at is None or each.at <= said_at]


@dataclass(frozen=True, slots=True)
class FiledStatements:
    """Finds what was filed, by our ids and by its senders'."""

    ids: DecisionIds
    linked_decisions: Callable[[str], Awaitable[Sequence[str]]]  # by name, oldest first
    records: Callable[[Sequence[str]], Awaitable[Mapping[str, Record]]]  # of those decisions that are known

    def links(self, feedback_id: str, tenant: str, *, source: str | None = None) -> list[str]:
        """Return the links under which what `find` is asked for may be filed."""
        return [split_public_id(feedback_id)[1]] if source is None else self.ids.links(source, feedback_id, tenant)

    async def find(self, feedback_id: str, tenant: str, *, source: str | None = None) -> FiledStatement:
        """Return what a tenant filed under `feedback_id`: an id of ours, or with `source` the sender's own.

        Raises:
            UnknownDecision: nothing of this tenant's was filed under it.
            StoreUnavailable: Redis does not answer.
        """
        decision_id = split_public_id(feedback_id)[0] if source is None else ""
        for link in self.links(feedback_id, tenant, source=source):
            decision_ids = [decision_id] if decision_id else await self.linked_decisions(link)
            of_tenant = [name for name in decision_ids if self.ids.issued_at(name, tenant) is not None]
            standing = standing_under(link, await self.records(of_tenant))
            if standing:
                return FiledStatement(feedback_id if decision_id else link, standing)
        raise UnknownDecision("No feedback with this id was filed here.")


def standing_under(link: str, records: Mapping[str, Record]) -> dict[str, Feedback | None]:
    """Return the decisions on which something was filed under `link`, each with what of it stands.

    What a newer statement of the same source and person has replaced, or taken back, does not stand.
    """
    standing: dict[str, Feedback | None] = {}
    for decision_id, record in records.items():
        oldest_first = sorted(record.feedback.values(), key=lambda statement: statement.at)
        filed = next((statement for statement in reversed(oldest_first) if link_of(statement.id) == link), None)
        if filed is not None:
            newest = [statement for statement in oldest_first if dedup_key(statement) == dedup_key(filed)][-1]
            stands = newest.value is not None and link_of(newest.id) == link
            standing[decision_id] = newest if stands else None
    return standing


def retraction_of(statement: Feedback, *, at: float) -> Feedback:
    """Return the statement that takes this one back, under the same link if it has one."""
    own_id = linked_id(link_of(statement.id)) if is_linked(statement.id) else new_feedback_id()
    return replace(statement, id=own_id, at=at, value=None)
