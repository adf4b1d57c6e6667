"""An operator's rules: the first one that fits a request says which arm answers it. A champion to be beaten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.draw import shares_of
from highwayman.env.encoder.features.clusters import cluster_count, cluster_of
from highwayman.env.encoder.features.features import NUMERIC_NAMES, NUMERIC_VERSION
from highwayman.env.encoder.features.tags import Tag, base_fingerprint, has_tag, tag_places
from highwayman.env.errors import SnapshotError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import CLIENT_TASK, Context, Floats, RewardChange

_Fits = Callable[[Context], bool]
_OF_FORM = {"tools": "tools", "images": "images", "json": "json_mode", "later_turn": "log_turns"}  # above 0: yes
_CONDITIONS = ("tags", "prompt_tokens", *_OF_FORM, "client_task", "script", "kind")


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests it is for, and the arms that answer them, by weight."""

    fits: tuple[_Fits, ...]  # all of them must
    weights: Mapping[str, float]


class Rules:
    """Chooses the arms of the first rule that fits and of which one may answer. Learns nothing.

    It sees of a request what every policy does, the context: what a rule may ask for is what stands there. Tags with
    declared levels are told by their columns, so the levels are given here, too, and must be those of the features.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        rules: Sequence[Mapping[str, Any]] = (),
        otherwise: str | Mapping[str, float] | None = None,
        tags: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Take the rules.

        Args:
            d: does not matter here.
            fingerprint: of the encoder, which says what the features hold.
            rules: each with `when`, what a request must be, and `arms`, an arm or arms with weights.
            otherwise: the arm, or arms with weights, where none fits; None: all that may answer, alike.
            tags: the levels of each tag that rules ask for, as declared.

        Raises:
            ValueError: a rule asks for what cannot be known, or names no arm; says which, and what would be right.
        """
        self._columns = _Columns(fingerprint, {name: tuple(levels) for name, levels in (tags or {}).items()})
        self._rules = [self._rule(rule, f"rules[{place}]") for place, rule in enumerate(rules)]
        if otherwise is not None:
            self._rules.append(Rule((), _weights(otherwise, "otherwise")))

    @property
    def named_arms(self) -> tuple[str, ...]:
        """The arms that rules name, each once."""
        return tuple(dict.fromkeys(arm for rule in self._rules for arm in rule.weights))

    def _rule(self, rule: Mapping[str, Any], where: str) -> Rule:
        if not isinstance(rule, Mapping) or rule.keys() != {"when", "arms"}:
            raise ValueError(f"{where}: must have when and arms, got {_keys(rule)}")
        when = rule["when"]
        if not isinstance(when, Mapping) or not when:
            raise ValueError(f"{where}.when: must say what a request is, by {', '.join(_CONDITIONS)}; or use otherwise")
        fits = [fit for name, wanted in when.items() for fit in self._columns.conditions(name, wanted, f"{where}.when")]
        return Rule(tuple(fits), _weights(rule["arms"], f"{where}.arms"))

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the arms' shares by the first rule that fits, shape (K,); where none does, all alike."""
        for rule in self._rules:
            if all(fit(context) for fit in rule.fits):
                shares = shares_of(rule.weights, arms)
                if shares is not None:
                    return shares
        return np.full(len(arms), 1.0 / len(arms))

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Do nothing."""

    def add_arm(self, name: str) -> None:
        """Do nothing."""

    def drop_arm(self, name: str) -> None:
        """Do nothing."""

    def state(self) -> bytes:
        """Return a snapshot that holds only its kind: the rules are options."""
        return snapshot.pack({"kind": "rules"}, {})

    def restore(self, state: bytes) -> None:
        """Check that the snapshot is one of this policy. Raises SnapshotError."""
        header, _ = snapshot.unpack(state)
        if header.get("kind") != "rules":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted rules")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the features, and the rest of a context, say what a rule asks for."""

    fingerprint: str
    tags: Mapping[str, tuple[str, ...]]

    def conditions(self, name: str, wanted: Any, where: str) -> list[_Fits]:
        """Return what must hold of a context. Raises ValueError."""
        where = f"{where}.{name}"
        if name == "tags":
            return [self._tag(tag, levels, f"{where}.{tag}") for tag, levels in _mapping(wanted, where).items()]
        if name == "prompt_tokens":
            return [_size(wanted, where)]
        if name in _OF_FORM:
            return [self._form(_OF_FORM[name], _truth(wanted, where), where)]
        if name == "client_task":
            is_task = _truth(wanted, where)
            return [lambda context: (CLIENT_TASK in context.flags) is is_task]
        if name == "script":
            scripts = _names(wanted, where)
            return [lambda context: (context.script or "latin") in scripts]
        if name == "kind":
            return [self._kind(wanted, where)]
        raise ValueError(f"{where}: unknown{did_you_mean(name, _CONDITIONS)}; known are {', '.join(_CONDITIONS)}")

    def _tag(self, name: str, wanted: Any, where: str) -> _Fits:
        levels, asked = self.tags.get(name), _names(wanted, where)
        if levels is None:
            raise ValueError(f"{where}: give its levels, too, as declared: tags: {{{name}: [...]}}")
        if not has_tag(self.fingerprint, Tag(name, levels)):
            raise ValueError(f"{where}: no such tag with the levels {', '.join(levels)} is declared under context")
        unknown = [level for level in asked if level not in levels]
        if unknown:
            raise ValueError(f"{where}: unknown level {unknown[0]!r}{did_you_mean(unknown[0], levels)}")
        places = {levels.index(level) for level in asked}
        return lambda context: tag_places(context).get(name) in places

    def _form(self, feature: str, wanted: bool, where: str) -> _Fits:
        if NUMERIC_VERSION not in base_fingerprint(self.fingerprint).split("/"):
            raise ValueError(f"{where}: the encoder's features do not tell it; those of the shipped encoders do")
        # Behind the numbers stand the kinds and a one.
        column = NUMERIC_NAMES.index(feature) - len(NUMERIC_NAMES) - cluster_count(self.fingerprint) - 1
        return lambda context: bool(context.features[column] > 0.0) is wanted

    def _kind(self, wanted: Any, where: str) -> _Fits:
        kinds = wanted if isinstance(wanted, list | tuple) else [wanted]
        if not kinds or not all(isinstance(kind, int) and not isinstance(kind, bool) and kind >= 0 for kind in kinds):
            raise ValueError(f"{where}: must be the number of a kind of query, or a list of them, got {wanted!r}")
        known = cluster_count(self.fingerprint)
        if max(kinds) >= known:
            raise ValueError(f"{where}: the encoder tells {known} kinds of query apart, from 0 on; got {max(kinds)}")
        return lambda context: cluster_of(context) in kinds


def _weights(arms: Any, where: str) -> Mapping[str, float]:
    """Return what each arm weighs. Raises ValueError."""
    if isinstance(arms, str) and arms:
        return {arms: 1.0}
    weights = {str(arm): weight for arm, weight in _mapping(arms, where).items()}
    if not all(isinstance(weight, int | float) and 0 < weight < float("inf") for weight in weights.values()):
        raise ValueError(f"{where}: weights must be numbers > 0, got {weights}")
    return {arm: float(weight) for arm, weight in weights.items()}


def _size(wanted: Any, where: str) -> _Fits:
    limits = _mapping(wanted, where)
    numbers = all(isinstance(limit, int | float) and limit >= 0 for limit in limits.values())
    if not limits.keys() <= {"at_least", "below"} or not numbers:
        raise ValueError(f"{where}: must be at_least, below or both, with numbers of tokens; got {wanted!r}")
    at_least, below = float(limits.get("at_least", 0.0)), float(limits.get("below", np.inf))
    return lambda context: at_least <= context.prompt_tokens < below


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{where}: must be keys with values, got {value!r}")
    return value


def _truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where}: must be true or false, got {value!r}")
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{where}: must be a name, or a list of them, got {value!r}")
    return names


def _keys(rule: Any) -> str:
    return ", ".join(map(str, rule)) or "nothing" if isinstance(rule, Mapping) else repr(rule)
