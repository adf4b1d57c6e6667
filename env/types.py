"""The value types every package shares. n rounds, K eligible arms, d features; units are suffixes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from highwayman.env.data_class import Clearance

DEFAULT_TENANT = "default"  # whose everything is where keys name no other

Floats = npt.NDArray[np.float64]


class ArmState(StrEnum):
    """Whether an arm takes traffic: `draining` finishes what it has and gets no more."""

    ACTIVE = "active"
    PROBATION = "probation"
    DRAINING = "draining"


class Mode(StrEnum):
    """How a decision came about. Only `route` decisions enter off-policy estimates."""

    ROUTE = "route"
    CASCADE = "cascade"
    SHADOW = "shadow"
    FORCED = "forced"
    STICKY = "sticky"


# Who names an arm has a reason, such as a hard task, that no feature tells: the arm is not to be judged by it.
NAMED_MODES = frozenset({Mode.FORCED, Mode.SHADOW})


class ControlKind(StrEnum):
    """What an operator or a new configuration changed. Only the first and the last five touch learned state."""

    ARM_ADDED = "arm_added"
    ARM_DROPPED = "arm_dropped"
    PRICE_CHANGED = "price_changed"
    POLICY_PROMOTED = "policy_promoted"
    CONFIGURATION = "configuration"
    ERASURE = "erasure"
    ROLLBACK = "rollback"
    CHANGE_NOTICED = "change_noticed"
    CHANGE_WITHDRAWN = "change_withdrawn"
    TOURNAMENT = "tournament"  # a step of the traffic's ramp, or what the guard has to say; only scores follow it
    QUARANTINE = "set_aside"  # or release: feedback is turned, the one way or the other


_FAILURES = frozenset({"arms_fault", "broke_off"})  # endings of an attempt that count against its arm


class Status(StrEnum):
    """How a call to an arm ended."""

    OK = "ok"
    REFUSED = "refused"  # the upstream called the request itself wrong (4xx)
    FAILED = "failed"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    CUT = "cut"  # the router ended before the answer had; the client was told
    LOST = "lost"  # no outcome came in time: the router that made the call died


@dataclass(frozen=True, slots=True)
class Profile:
    """How an arm uses its model: the same model under another profile is another arm, at another cost."""

    system: str | None = None
    few_shot: tuple[tuple[str, str], ...] = ()  # (user, assistant) pairs put before the conversation
    temperature: float | None = None  # a default: the caller's own value wins
    max_tokens: int | None = None  # a ceiling: the smaller of this and the caller's
    best_of: int = 1  # answers sampled; the most common one is served (self-consistency)
    reasoning_effort: str | None = None  # in the server's words; unlike the temperature, the caller's does not win
    body: Mapping[str, Any] = field(default_factory=dict)  # what else a chat's body says, such as a thinking budget


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a server does not take as others do."""

    rename: Mapping[str, str] = field(default_factory=dict)  # keys of a body, and what they are called there
    leave_out: frozenset[str] = frozenset()  # keys that it refuses
    chat_path: str | None = None  # where it answers chats, behind its base URL; None: /v1/chat/completions


NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of the pool. A name is never reused for another model: what was learned hangs on it."""

    name: str
    endpoints: tuple[str, ...]  # base URLs of replicas, without /v1
    model: str  # the model id upstream
    usd_per_mtok_in: float | None  # None: unknown, routed without cost
    usd_per_mtok_out: float | None
    context_window_tokens: int
    modalities: frozenset[str] = frozenset({"text"})
    tools: bool | None = False  # whether it calls tools; None: nobody knows, it is tried and what comes back tells
    tags: Mapping[str, str] = field(default_factory=dict)
    wh_per_mtok: float | None = None
    state: ArmState = ArmState.ACTIVE
    profile: Profile = field(default_factory=Profile)
    api_key_env: str | None = None  # name of the environment variable that holds the upstream's key
    usd_per_mtok_cached_in: float | None = None  # of prompt tokens that its cache held; None: as the others
    power_url: str | None = None  # tells the watts of all that serves it; None: nobody measures
    headers: Mapping[str, str] = field(default_factory=dict)  # ${NAME} in one stands for an environment variable
    quirks: Quirks = NO_QUIRKS
    zone: str = "default"  # whose rules of privacy hold for it

    @property
    def has_price(self) -> bool:
        """Whether both prices are known."""
        return self.usd_per_mtok_in is not None and self.usd_per_mtok_out is not None


CEILING_ROOM = 1024  # tokens, of an answer whose limit is a ceiling: enough for most, or to call a tool


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks, distilled for the encoder and the pool: no wire format, nothing else of the body."""

    text: str  # the newest user message, or the prompt
    prompt_chars: int  # everything the model will read, in characters
    turns: int = 1  # messages in the conversation
    tools: int = 0  # tools offered
    images: int = 0
    json_mode: bool = False
    max_tokens: int | None = None  # the caller's limit on the answer
    # Whether that is only a ceiling, as in protocols that want one always: an arm with less room answers within it.
    limit_is_ceiling: bool = False
    plain_text: bool = True  # False: token ids, to which no profile text can be added
    in_tool_loop: bool = False  # the newest message is a tool's result: the caller is in the middle of something
    prompt_tokens: int | None = None  # of all that the model will read, estimated; None: to be told from the text
    script: str = ""  # most of its tokens are of: arabic, ideograph ... (`env/prompt/text_tokens.py`); empty: Latin
    modalities: frozenset[str] = frozenset()  # what any message holds beside text: image, audio, video, file
    tools_optional: bool = False  # the model may answer without calling one: so it may be asked without them
    tools_tokens: int = 0  # of prompt_tokens, those of the tools
    # Its images in base64, the last ones; an empty text is one of which only the address is known.
    pictures: tuple[str, ...] = field(default=(), repr=False)
    tags: tuple[tuple[str, int], ...] = ()  # declared tags, and the column of the level (`encoder/features/tags.py`)
    answers: int = 1  # that the caller asks for
    clearance: Clearance | None = None  # where the request may go; None: anywhere, as nobody has rules

    @property
    def answer_room(self) -> int | None:
        """Tokens of answer that an arm's window must have room for; None: nothing is asked for."""
        if self.max_tokens is None or not self.limit_is_ceiling:
            return self.max_tokens
        return min(self.max_tokens, CEILING_ROOM)

    def without_tools(self) -> "Query":
        """Return the query as it is where the tools are left out."""
        tokens = None if self.prompt_tokens is None else max(self.prompt_tokens - self.tools_tokens, 1)
        return replace(self, tools=0, tools_optional=False, tools_tokens=0, prompt_tokens=tokens)


NO_EXPLORATION = "no_exploration"  # a context's flag: arms that look worse were not to be tried
CLIENT_TASK = "client_task"  # a context's flag: a chat client's own call, such as for a title; nobody rates its answer
TOOLS_DROPPED = "tools_dropped"  # a context's flag: no arm takes tools, so the request goes on without them
RESTING_FLAG = "resting:"  # begins a context's flag that names an arm left out since its servers rest after failures
CONTROL = "control"  # a context's flag: the control slice drew the arm, from its baseline
# Begins a context's flag of every decision that the control slice might have drawn: its share of the draws, and the
# probability that the baseline gives the arm drawn.
BASELINE_FLAG = "baseline:"
SIMILARITY_FLAG = "similarity:"  # begins a context's flag that says how like a stored question is, whose answer may do
STORED_BY_FLAG = "stored_by:"  # begins a context's flag that names the arm which gave that answer
SHADOW_OF_FLAG = "shadow_of:"  # begins a flag that names the decision whose request another arm answered, too, unseen
STORED_FROM_FLAG = "stored_from:"  # begins a context's flag that names the decision it was first given on
DELEGATED = "delegated"  # a context's flag: whoever asked calls the arm itself, and tells what came of it
TOLD = "told"  # the policy of a decision that another router took, and told
# A context's flag of such a decision: only the propensity of its arm is known, the rest stands evenly at the others.
ONLY_DRAWN = "only_drawn"
SCRIPT_FLAG = "script:"  # begins a context's flag that names the script of the prompt, where it is not Latin


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a policy sees of a query: features (d,), the last of them 1.0, exactly representable in float32."""

    features: Floats
    fingerprint: str  # of the encoder; features of another fingerprint do not mix
    prompt_tokens: int  # estimated
    flags: frozenset[str] = frozenset()  # e.g. "encoder_timeout": the text part is missing (zeros); NO_EXPLORATION

    @property
    def script(self) -> str:
        """The script of most of the prompt; empty: Latin."""
        return self._said(SCRIPT_FLAG)

    @property
    def stored_by(self) -> str:
        """The arm that gave the stored answer which may do for this query; empty: there is none."""
        return self._said(STORED_BY_FLAG)

    @property
    def stored_from(self) -> str:
        """The decision on which that answer was first given; empty: there is none."""
        return self._said(STORED_FROM_FLAG)

    def _said(self, beginning: str) -> str:
        """Return what stands behind the beginning of a flag, empty where there is none such."""
        if not self.flags:  # as most have none
            return ""
        return next((flag.removeprefix(beginning) for flag in self.flags if flag.startswith(beginning)), "")

    @property
    def resting(self) -> tuple[str, ...]:
        """The arms that could have answered, but for failures of their servers."""
        return tuple(sorted(flag.removeprefix(RESTING_FLAG) for flag in self.flags if flag.startswith(RESTING_FLAG)))

    @property
    def shadow_of(self) -> str:
        """The id of the decision whose request this is an unseen second answer to, its arm drawn; empty: it is none."""
        return self._said(SHADOW_OF_FLAG)

    @property
    def control(self) -> "ControlDraw | None":
        """How the control slice took part in the draw, None where it did not. Raises ValueError for a damaged flag."""
        if not self.flags:
            return None
        told = next((flag.removeprefix(BASELINE_FLAG) for flag in self.flags if flag.startswith(BASELINE_FLAG)), None)
        if told is None:
            return None
        share, baseline_prob = map(float, told.split(":"))
        return ControlDraw(share, baseline_prob, CONTROL in self.flags)


@dataclass(frozen=True, slots=True)
class ControlDraw:
    """How a control slice took part in one draw."""

    share: float  # of the draws that it takes
    baseline_prob: float  # the probability that the baseline gives the arm drawn
    is_control: bool  # whether it took this one

    def apart(self, propensity: float) -> "ControlDraw":
        """Return it where the policy's draw of an arm means another thing than the slice's, such as a cascade's start.

        Then nothing that the policy drew tells of the baseline, and the slice's own draw was `share` as probable as the
        baseline's alone: by the ratio to the propensity, (0, 1], of the arm.
        """
        return replace(self, baseline_prob=propensity / self.share if self.is_control else 0.0)

    @property
    def flags(self) -> frozenset[str]:
        """What the log says of it, among the flags of the context."""
        told = f"{BASELINE_FLAG}{self.share!r}:{self.baseline_prob!r}"
        return frozenset({told, CONTROL} if self.is_control else {told})


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was decided for one request, and with which probabilities."""

    id: str
    tenant: str
    at: float  # seconds since the epoch
    context: Context
    arms: tuple[str, ...]  # the K eligible arms
    penalties: Floats  # (K,) in quality units
    probs: Floats  # (K,) after the exploration floor: what was drawn from
    action: int  # index into arms
    propensity: float  # probs[action]
    policy: str
    policy_version: int
    objective: str
    mode: Mode = Mode.ROUTE
    user: str = ""  # pseudonym of the person who asked, under the namespace's secret; empty: not known
    prompt: str | None = None  # the newest message, only where the configuration asks for it
    links: tuple[str, ...] = ()  # digests of ids that the client sent along: under them feedback may speak of it, too

    @property
    def arm(self) -> str:
        """The name of the intended arm."""
        return self.arms[self.action]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to an arm's server for a decision."""

    arm: str
    endpoint: str
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
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None  # of this answer alone, with all that looking at it cost; None: no price
    seconds: float = 0.0  # from sending to the answer's end


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision: who served it, at what price, how fast."""

    decision_id: str
    at: float
    arm: str  # who served; differs from the decision's arm after a failover
    status: Status
    prompt_tokens: int = 0  # the estimate the decision was made on; tokens_in beyond it is the arm's own overhead
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None  # None: the arm has no price
    ttft_s: float | None = None  # from sending upstream to the first meaningful event of the answer
    latency_s: float = 0.0
    finish_reason: str | None = None
    attempts: int = 1
    tried: tuple[Attempt, ...] = ()  # every attempt, in order; empty on events of before it was kept
    tokens_cached: int = 0  # of tokens_in, those that the arm's prompt cache held
    estimated: bool = False  # whether a number of tokens is counted from the text, as the arm did not tell it
    tools_dropped: bool = False  # whether the arm was asked without the tools that the caller offers
    # The answers a cascade looked at, in order, the last one served unless it went on; tokens above are of who served,
    # dollars and seconds of all. Empty: no cascade.
    stages: tuple[CascadeStage, ...] = ()
    wh: float | None = None  # watt-hours of energy; None: nobody can know

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


@dataclass(frozen=True, slots=True)
class Feedback:
    """One statement about one decision. `value` None retracts the same person's and source's earlier one on the metric.

    `at`, the time it was accepted, is its revision: of two statements the later one counts, in whichever order they
    reach the log. What a calibration, an episode's share or a cap on influence made of it is settled when it is
    accepted, and stands here as `quality` and `weight`.
    """

    id: str  # of the statement; sent again, it is the same. Before a dot: the name by which its decisions are found
    decision_id: str
    at: float  # seconds since the epoch
    source: str
    metric: str
    value: float | None
    weight: float = 1.0
    user: str = ""  # pseudonym of the person who gave it
    key: str = ""  # id of the API key it came with
    text: str = ""  # a comment, a choice's name or a better answer, in the person's words
    compared_arm: str = ""  # of a preference: the arm whose answer it was compared with
    quality: float | None = None  # what it says about quality, in [0, 1], where a calibration corrected `value`
    quarantined: bool = False  # accepted from a key in quarantine: counts once that is released


@dataclass(frozen=True, slots=True)
class Control:
    """A change by an operator or a new configuration; what `detail` holds depends on the kind."""

    at: float  # seconds since the epoch
    kind: ControlKind
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reward:
    """A quality in [0, 1] with its weight (precision); weight 0 means nothing is known: censored, never zero."""

    quality: float
    weight: float
    parts: Mapping[str, float] = field(default_factory=dict)
    spec: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class RewardChange:
    """What one event changes of what is known about an arm at a context.

    With w the weight and r the quality, a policy's statistics are sums over rounds of w, w*r and w*r**2 (times
    features): so a change is the difference of these three, and a flip or a retraction is exact.
    """

    arm: str
    features: Floats  # (d,)
    weight: float  # change of w
    weighted: float  # change of w*r
    squared: float  # change of w*r**2
    at: float = 0.0  # seconds since the epoch: when its round was decided; 0: unknown, it counts as now


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceChange:
    """What one event changes of which of two arms' answers to one query was preferred."""

    better: str  # the arm preferred
    worse: str
    features: Floats  # (d,)
    weight: float = 1.0  # change of weight: negative takes a preference back
    share: float = 1.0  # of the preference that the better one got, in [0, 1]: 0.5 is a tie
    at: float = 0.0  # seconds since the epoch: when the query was asked; 0: unknown


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one upstream call, as the upstream counted them (or as estimated, where it did not)."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0  # of tokens_in, those that the prompt cache held


JsonObject = dict[str, Any]
Messages = Sequence[Mapping[str, Any]]
