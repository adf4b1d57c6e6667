"""What came of a call: who served, with which attempts, tokens, dollars and seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from highwayman.env.quick_dataclass import quick_dataclass

_FAILURES = frozenset({"arms_fault", "broke_off"})  # endings of an attempt that count against its arm


class Status(StrEnum):
    """How a call to an arm ended."""

    OK = "ok"  # with an answer
    REFUSED = "refused"  # the upstream called the request itself wrong (4xx)
    FAILED = "failed"  # no arm answered, or the answer broke off
    TIMEOUT = "timeout"  # no arm answered in time
    CLIENT_GONE = "client_gone"  # the client left before the end
    CUT = "cut"  # the router ended before the answer had; the client was told
    LOST = "lost"  # no outcome came in time: the router that made the call died


@quick_dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one upstream call, as the upstream counted them (or as estimated, where it did not)."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0  # of tokens_in, those that the prompt cache held


@quick_dataclass(frozen=True, slots=True)
class Attempt:
    """One call to an arm's server for a decision."""

    arm: str  # who was asked
    endpoint: str  # at which of its servers
    seconds: float  # from sending to its end
    ending: str  # an Ending of env/upstream/answers/endings.py
    why: str = ""  # it did not answer, in words


@dataclass(frozen=True, slots=True)
class CascadeStage:
    """One answer that a cascade looked at: it was served, or another arm was asked."""

    arm: str  # whose answer it is
    signals: Mapping[str, float]  # what was seen in it, by name, such as the mean log probability of its tokens
    good: float  # probability that it is good, as expected from the query, the arm and the signals
    goes_on: float  # probability with which the next arm was to be asked
    went_on: bool  # whether it was, and nothing of this answer reached the client
    next_arm: str = ""  # who was, or would have been; empty: nobody was left
    tokens_in: int = 0  # tokens read
    tokens_out: int = 0  # tokens written
    cost_usd: float | None = None  # of this answer alone, with all that looking at it cost; None: no price
    seconds: float = 0.0  # from sending to the answer's end


@quick_dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision: who served it, at what price, how fast."""

    decision_id: str  # what it came of
    at: float  # seconds since the epoch: when the call ended
    arm: str  # who served; differs from the decision's arm after a failover
    status: Status  # how the call ended
    prompt_tokens: int = 0  # the estimate the decision was made on; tokens_in beyond it is the arm's own overhead
    tokens_in: int = 0  # tokens read
    tokens_out: int = 0  # tokens written
    cost_usd: float | None = None  # dollars of the call; None: the arm has no price
    ttft_s: float | None = None  # from sending upstream to the first meaningful event of the answer
    latency_s: float = 0.0  # to its last
    finish_reason: str | None = None  # as the arm gave it
    attempts: int = 1  # calls made
    tried: tuple[Attempt, ...] = ()  # every attempt, in order; empty on events of before it was kept
    tokens_cached: int = 0  # of tokens_in, those that the arm's prompt cache held
    estimated: bool = False  # whether a number of tokens is counted from the text, as the arm did not tell it
    tools_dropped: bool = False  # whether the arm was asked without the tools that the caller offers
    # The answers a cascade looked at, in order, the last one served unless it went on; tokens above are of who served,
    # dollars and seconds of all. Empty: no cascade.
    stages: tuple[CascadeStage, ...] = ()
    wh: float | None = None  # watt-hours of energy; None: nobody can know

    @property
    def answered(self) -> bool:
        """Whether its client got an answer, or some words of one; of a call that was given up nobody knows."""
        return self.status in (Status.OK, Status.LOST) or self.tokens_out > 0

    @property
    def failed_arms(self) -> tuple[str, ...]:
        """The arms that were asked and did not answer, each once, in the order they were tried."""
        failed = (attempt.arm for attempt in self.tried if attempt.ending in _FAILURES)
        served = self.arm if self.status is Status.OK else None
        return tuple(arm for arm in dict.fromkeys(failed) if arm != served)

    @property
    def calls(self) -> tuple["Outcome", ...]:
        """Every answer as if it had come alone, the rejected ones of a cascade and then that of who served.

        Dollars and seconds are each one's own; attempts stand with the last.
        """
        rejected = [stage for stage in self.stages if stage.went_on]
        if not rejected:
            return (self,)
        usd, seconds = sum(stage.cost_usd or 0.0 for stage in rejected), sum(stage.seconds for stage in rejected)
        last = replace(
            self,
            cost_usd=None if self.cost_usd is None else max(self.cost_usd - usd, 0.0),
            ttft_s=None if self.ttft_s is None else max(self.ttft_s - seconds, 0.0),
            latency_s=max(self.latency_s - seconds, 0.0),
            stages=(),
        )
        return (*(self._rejected(stage) for stage in rejected), last)

    def _rejected(self, stage: CascadeStage) -> "Outcome":
        return Outcome(
            self.decision_id,
            self.at,
            stage.arm,
            Status.OK,
            prompt_tokens=self.prompt_tokens,
            tokens_in=stage.tokens_in,
            tokens_out=stage.tokens_out,
            cost_usd=stage.cost_usd,
            latency_s=stage.seconds,
        )
