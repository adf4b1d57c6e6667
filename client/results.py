"""What a router answers. Fields that a newer router adds are there, too, as attributes, and in `model_dump()`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """What was answered, as it was answered."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Receipt(Result):
    """What became of a statement."""

    id: str  # takes it back: `client.retract(receipt)`
    value: float | None
    state: str  # logged, spooled (on the router's disk), held (until its answer is known), or withdrawn
    decision_id: str | None = None  # None: not known yet, or several
    decision_ids: Sequence[str] = ()


class Candidate(Result):
    """An arm that could have been drawn; None where nothing is known of it."""

    probability: float
    penalty: float  # in quality units
    expected_quality: float | None = None
    deviation: float | None = None  # of that expectation
    utility: float | None = None  # expected quality minus penalty
    expected_usd: float | None = None


class ToldStatement(Result):
    """Something that was said of an answer, and what it does for the reward."""

    id: str
    source: str
    metric: str
    value: float | None
    standing: str  # counts, replaced, taken_back, ... (docs, "What became of it" on the page of feedback)
    quality: float | None  # that it stands for, where it counts
    weight: float
    text: str | None = None


class CallOutcome(Result):
    """How the call ended."""

    arm: str  # who answered, or failed last
    status: str
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    latency_s: float
    ttft_s: float | None = None


class DecisionHead(Result):
    """What is told of a decision wherever it stands."""

    id: str
    at: float  # seconds since the epoch
    mode: str
    arm: str
    propensity: float
    policy: str
    policy_version: int
    objective: str


class ListedDecision(DecisionHead):
    """A decision in a line of the list."""

    served_by: str | None = None
    status: str | None = None  # of the call; None: under way
    cost_usd: float | None = None
    quality: float | None = None  # by what was said of it; None: nothing that counts


class DecisionPage(Result):
    """Some decisions, newest first; `next` is the `after` of the page behind."""

    data: Sequence[ListedDecision]
    has_more: bool
    next: str | None


class DecisionReport(DecisionHead):
    """All that is known of a decision."""

    why: str  # in words
    candidates: Mapping[str, Candidate]
    left_out: Mapping[str, str]  # the arms that were no candidates, and why
    outcome: CallOutcome | None  # None: the call is under way
    feedback: Sequence[ToldStatement]
    reward: Mapping[str, Any] | None  # quality, weight, parts; None: nothing that counts was said


class RouteCandidate(Candidate):
    """An arm that could have been drawn, and how it is called."""

    arm: str
    model: str
    endpoints: Sequence[str]


class RouteTold(Result):
    """Whom to call, and with what probability it was drawn; `client.outcome` says what came of it."""

    id: str
    arm: str
    model: str
    endpoints: Sequence[str]
    propensity: float | None
    candidates: Sequence[RouteCandidate]
    fallbacks: Sequence[str]  # whom to ask, in this order, where the arm fails


class OutcomeReceipt(Result):
    """What stands on the log of an outcome; `state` is known where an earlier one stands."""

    decision_id: str
    arm: str
    status: str
    cost_usd: float | None
    state: str


class ArmInForce(Result):
    """An arm's numbers over the whole log."""

    state: str
    share: float
    recent_share: float
    decisions: int
    feedback: int
    quality: float | None
    quality_low: float | None
    quality_high: float | None
    cost_usd: float
    latency_s: float | None


class PolicyReport(Result):
    """The policy in force."""

    policy: str
    version: int
    champion: str
    challenger: str | None
    challenger_share: float
    arms: Mapping[str, ArmInForce]


class SavedDifference(Result):
    """A difference, with the interval that holds at every look; None: too little is known for one."""

    value: float
    low: float | None
    high: float | None


class Savings(Result):
    """What the router saved beside its baseline; None: nothing is known yet."""

    tenant: str
    requests: int
    baseline_usd: float | None  # a request
    router_usd: float | None
    saving_usd: SavedDifference | None  # a request
    total_usd: SavedDifference | None
    quality: SavedDifference | None  # the router's minus the baseline's


class Standings(Result):
    """Who decides for how much of the traffic, and what is known of everybody else."""

    champion: str
    challenger: str | None
    share: float
    worth_its_exploration: bool
    contenders: Mapping[str, Mapping[str, Any] | None]  # points a round with low and high; None: nothing yet
