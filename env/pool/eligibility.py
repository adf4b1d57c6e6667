"""Which arms may answer a query. A rule is one function; the first that objects names the reason."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from highwayman.env.errors import ConfigError, DataClassBarred, NoEligibleArm, UnknownArm
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.believed_pool import LEAST_ANSWER_TOKENS, Answerable, BelievedPool, Rule
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.tool_beliefs import ToolBeliefs
from highwayman.env.pool.windows import WindowBeliefs
from highwayman.env.types import Arm, ArmState, Floats, Query

# Estimated for whichever arm, or for each by what is known of its tokenizer: asked for, or of all of a pool in order.
PromptTokens = int | Callable[[Arm], int] | Floats

_NO_TOOLS = "does not call tools"
_TOOLS_HINT = (
    " Tools go to arms of which the pool file says `tools: true` or `tools: unknown`, and whose server takes them."
)
_READ_AS = {"image": "images", "file": "files"}


def answer_tokens(arm: Arm, query: Query) -> int:
    """Return for how many tokens of answer an arm must have room."""
    room, limit = query.answer_room, arm.profile.max_tokens
    if room is None:
        return LEAST_ANSWER_TOKENS if limit is None else limit
    return room if limit is None else min(room, limit)


def needed_tokens(arm: Arm, query: Query, prompt_tokens: int | Callable[[Arm], int]) -> int:
    """Return how many tokens a query takes at an arm: of its prompt (estimated) and of its answer."""
    prompt = prompt_tokens if isinstance(prompt_tokens, int) else prompt_tokens(arm)
    return prompt + answer_tokens(arm, query)


def refuses_draining(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to an arm that is being taken out of service."""
    return "is draining" if arm.state is ArmState.DRAINING else None


def refuses_long_prompt(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object where prompt (tokens, estimated) and answer would not fit the arm's window."""
    needed = needed_tokens(arm, query, prompt_tokens)
    if needed <= arm.context_window_tokens:
        return None
    return f"has a window of {arm.context_window_tokens} tokens, about {needed} are needed"


def refuses_modalities(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to what the arm cannot read, in whichever message of the conversation it stands."""
    needed = query.modalities | ({"image"} if query.images else frozenset())
    lacking = [_READ_AS.get(modality, modality) for modality in sorted(needed - arm.modalities - {"text"})]
    return f"does not read {' or '.join(lacking)}" if lacking else None


def refuses_tools(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to tools where the arm cannot call them."""
    return _NO_TOOLS if query.tools and arm.tools is False else None


def refuses_token_ids(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to a prompt of token ids where the profile would have to add text to it."""
    adds_text = arm.profile.system is not None or arm.profile.few_shot
    return "puts text before the prompt, which token ids do not allow" if adds_text and not query.plain_text else None


def refuses_data_class(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to data of a class that the arm's zone may not have."""
    clearance = query.clearance
    return None if clearance is None or clearance.admits(arm.zone) else clearance.objection()


def refuses_tenant(arm: Arm, query: Query, prompt_tokens: int) -> str | None:
    """Object to a tenant that has arms of its own, of which this is none."""
    return None if query.allowed is None or arm.name in query.allowed else "is not among this tenant's arms"


RULES: tuple[Rule, ...] = (
    refuses_tenant,
    refuses_data_class,
    refuses_draining,
    refuses_long_prompt,
    refuses_modalities,
    refuses_tools,
    refuses_token_ids,
)
# Those whose word hangs on what a query holds, not on how long it is.
_FORM_RULES = frozenset(
    {refuses_tenant, refuses_data_class, refuses_draining, refuses_modalities, refuses_tools, refuses_token_ids}
)


def tools_hint(*reasons: str | None) -> str:
    """Return which key of the pool file says that an arm calls tools, where that is a reason why none may answer."""
    return f".{_TOOLS_HINT}" if _NO_TOOLS in reasons else ""


def tools_refused(arms: Iterable[str]) -> NoEligibleArm:
    """Return the error of a request with tools where these arms have been asked and take none."""
    return _nobody(dict.fromkeys(arms, _NO_TOOLS))


def _nobody(refusals: Mapping[str, str | None]) -> NoEligibleArm:
    """Return the error that gives every arm's reason."""
    reasons = "; ".join(f"{name} {why}" for name, why in refusals.items())
    return NoEligibleArm(f"No arm may answer: {reasons}{tools_hint(*refusals.values())}")


def _by_name(arms: Sequence[Arm]) -> Mapping[str, Arm]:
    by_name = {arm.name: arm for arm in arms}
    if len(by_name) != len(arms):
        raise ConfigError("two arms of the pool share a name; what is learned hangs on the name")
    if not arms:
        raise ConfigError("the pool has no arm; give at least one under `arms:`")
    return MappingProxyType(by_name)


class Pool:
    """The arms by name, and which of them may answer."""

    def __init__(
        self,
        arms: Sequence[Arm],
        health: EndpointHealth,
        rules: Sequence[Rule] = RULES,
        *,
        loads: ReplicaLoads | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the arms, what is known of their endpoints, the rules, and a clock in monotonic seconds.

        Raises ConfigError for a name twice.
        """
        self.arms = _by_name(arms)
        self.health = health
        self.loads = loads or ReplicaLoads(lambda: 0.0)
        self.tools = ToolBeliefs(clock)
        self._rules = tuple(rules)
        self._windows = WindowBeliefs(clock)
        self.on_answered = self._windows.on_answered  # for an arm that has answered a request of so many tokens
        self._revisions = self._windows.revision, self.tools.revision, self.loads.revision
        self._believed_at: tuple[int, ...] = ()  # their numbers, of what is believed
        self._believed = self._believe()

    def replace_arms(self, arms: Sequence[Arm]) -> None:
        """Go on with these arms; what is believed of servers stays. Raises ConfigError for a name twice."""
        self.arms = _by_name(arms)
        self._believed = self._believe()

    def arm(self, name: str) -> Arm:
        """Return the arm called `name`. Raises UnknownArm."""
        try:
            return self.arms[name]
        except KeyError:
            raise UnknownArm(f"The model {name!r} does not exist. Known arms: {', '.join(self.arms)}.") from None

    def refusal(self, arm: Arm, query: Query, prompt_tokens: PromptTokens) -> str | None:
        """Return why `arm` may not answer, or None."""
        believed = self._as_believed(arm)
        if isinstance(prompt_tokens, np.ndarray):
            tokens = int(prompt_tokens[self._believed.all.names.index(arm.name)])
        else:
            tokens = prompt_tokens if isinstance(prompt_tokens, int) else prompt_tokens(arm)
        return next((why for rule in self._rules if (why := rule(believed, query, tokens))), None)

    def on_window_too_small(self, arm: Arm, window_tokens: int | None, needed_tokens: int = 0) -> None:
        """Believe a server, for a while, that its window has only so many tokens, or that a request needs too many."""
        self._windows.on_refused(arm, window_tokens, needed_tokens)

    def eligible(self, query: Query, prompt_tokens: PromptTokens) -> tuple[Arm, ...]:
        """Return the arms that may answer, as `answerable` does. Raises NoEligibleArm."""
        return self.answerable(query, prompt_tokens).arms

    def answerable(self, query: Query, prompt_tokens: PromptTokens) -> Answerable:
        """Return the arms that may answer, in the pool's order, and those that could if their servers did not rest.

        Arms that are unwell are left out, unless that leaves none: then trying beats refusing.

        Raises:
            NoEligibleArm: with the reason for each arm.
        """
        pool = self._current()
        if callable(prompt_tokens):
            prompt_tokens = np.array([float(prompt_tokens(arm)) for arm in pool.all.arms])
        able = pool.able(query, prompt_tokens)
        if not np.logical_or.reduce(able):
            raise self._nobody_for(query, prompt_tokens)
        out = self._out(pool)
        if not out:
            return pool.at(able)
        askable, resting = able.copy(), np.zeros_like(able)
        askable[out], resting[out] = False, able[out]
        return pool.at(askable, resting=resting) if np.logical_or.reduce(askable) else pool.at(able)

    def all_answerable(self, query: Query, most_tokens: int) -> Answerable | None:
        """Return what `answerable` does where that is plain: all arms, for a prompt of at most so many tokens at each.

        None: each arm has to be asked.
        """
        pool = self._current()
        return pool.all if pool.takes_all(query, most_tokens) and not self._out(pool) else None

    def _nobody_for(self, query: Query, prompt_tokens: PromptTokens) -> NoEligibleArm:
        """Return the error of a query that no arm may answer; of another kind where that is for its class alone."""
        clearance, unruled = query.clearance, replace(query, clearance=None)
        if clearance is not None and any(
            self.refusal(arm, unruled, prompt_tokens) is None for arm in self.arms.values()
        ):
            return DataClassBarred(clearance.refusal())
        return _nobody({arm.name: self.refusal(arm, query, prompt_tokens) for arm in self.arms.values()})

    def is_answerable(self, query: Query, prompt_tokens: int | Floats) -> bool:
        """Return whether any arm may answer, whether its servers rest or not."""
        return bool(np.logical_or.reduce(self._current().able(query, prompt_tokens)))

    def _out(self, pool: BelievedPool) -> list[int]:
        """Return the places of the arms that may not be asked now."""
        suspects = self.health.suspects()
        if not suspects:
            return pool.unserved
        groups = {servers: at for endpoint in suspects for servers, at in pool.served_by.get(endpoint, {}).items()}
        out = list(pool.unserved)
        for servers, places in groups.items():
            if not any(self.health.may_ask(endpoint, model) for endpoint, model in servers):
                out += places
        return out

    def _current(self) -> BelievedPool:
        """Return the arms as they are believed to be now."""
        windows, tools, loads = self._revisions
        if self._believed_at != (windows.number(), tools.number(), loads.number()):
            self._believed = self._believe()
        return self._believed

    def _believe(self) -> BelievedPool:
        windows, tools, loads = self._revisions
        self._believed_at = windows.number(), tools.number(), loads.number()
        arms = tuple(self.arms.values())
        return BelievedPool(
            arms,
            [self._as_believed(arm) for arm in arms],
            [self.loads.serving(arm) for arm in arms],
            form_rules=[rule for rule in self._rules if rule in _FORM_RULES],
            other_rules=[rule for rule in self._rules if rule not in {*_FORM_RULES, refuses_long_prompt}],
        )

    def _as_believed(self, arm: Arm) -> Arm:
        """Return the arm with what is believed of its window and its tools now."""
        window = self._windows.window_tokens(arm)
        return self.tools.believed(
            arm if window == arm.context_window_tokens else replace(arm, context_window_tokens=window)
        )

    def may_ask(self, arm: Arm) -> bool:
        """Return whether a call may go now to any of the endpoints that serve the arm's model."""
        return any(self.health.may_ask(endpoint, arm.model) for endpoint in self.loads.serving(arm))

    def unwell(self, arm: Arm) -> str | None:
        """Return why nothing can be expected of the arm's servers now, None if something can, or it has none."""
        if not arm.endpoints:  # stored answers
            return None
        serving = self.loads.serving(arm)
        if not serving:
            return f"no replica serves the model {arm.model!r}"
        well = any(self.health.is_up(endpoint, arm.model) for endpoint in serving)
        return None if well else "all replicas rest after failures"

    def resting_endpoints(self, arm: Arm) -> tuple[str, ...]:
        """Return the arm's endpoints that rest after failures, or since they asked for it."""
        return tuple(endpoint for endpoint in arm.endpoints if not self.health.is_up(endpoint, arm.model))
