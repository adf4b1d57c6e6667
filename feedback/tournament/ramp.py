"""Who decides for how much of the traffic, and which step follows from what is known: pure functions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Control, ControlKind
from highwayman.feedback.tournament.score import DOLLARS, FAILURES, SECONDS
from highwayman.feedback.tournament.scored_learner import CONFIGURED

BEST_CONSTANT = "best-constant"  # the challenger that is always there
BY_HAND, BY_EVIDENCE = "hand", "evidence"

VerdictFields = Mapping[str, Any]  # a `Verdict`, as a publication has it


@dataclass(frozen=True, slots=True)
class Ramp:
    """Who decides: the champion, and a challenger for a share of the traffic, drawn request by request."""

    champion: str = CONFIGURED
    challenger: str = ""  # empty: the champion has all of it
    share: float = 0.0
    by: str = BY_HAND
    decisions: int = 0  # scored of the challenger when this share began
    previous: str = ""  # the champion before, to whom a rollback goes; empty: there was none
    barred: tuple[str, ...] = ()  # were rolled back: not tried again on their own
    warned: bool = False  # whether it was told that the champion is not worth its exploration

    def to_json(self) -> str:
        """Return it as text, equal where it is the same."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, first: str = CONFIGURED) -> Self:
        """Return what `to_json` wrote; for an empty text, and for one that cannot be read, that `first` decides."""
        try:
            values = json.loads(text) if text else {"champion": first}
            return cls(**{**values, "barred": tuple(values.get("barred", ()))})
        except (ValueError, TypeError, AttributeError):
            return cls(first)


@dataclass(frozen=True, slots=True)
class RampRules:
    """How a challenger is let in, and what sends it back."""

    challengers: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.01, 0.05, 0.25, 1.0)
    step_decisions: int = 500  # scored decisions that a share lasts, at least
    by: str = BY_HAND  # whether the best challenger is tried without anybody asking
    stop: bool = False  # whether the best constant arm takes over where the champion loses to it
    first: str = CONFIGURED  # who decides as long as nobody was promoted
    most_worse: Mapping[str, float] = field(default_factory=lambda: {FAILURES: 0.02, SECONDS: 0.5, DOLLARS: 0.5})

    @property
    def known(self) -> tuple[str, ...]:
        """Everybody who may decide."""
        return tuple(dict.fromkeys((*self.challengers, BEST_CONSTANT, CONFIGURED, self.first)))


@dataclass(frozen=True, slots=True)
class RampStep:
    """The ramp as it is from here on, and the event that says so and why."""

    ramp: Ramp
    step: str  # trial | share | promote | rollback | guard
    reason: str
    evidence: VerdictFields

    def control(self, at: float) -> Control:
        """Return the event, at so many seconds since the epoch."""
        ramp = self.ramp
        detail = {
            **{"step": self.step, "reason": self.reason, "by": ramp.by, "champion": ramp.champion},
            **{"challenger": ramp.challenger, "share": ramp.share, "evidence": dict(self.evidence)},
        }
        return Control(at, ControlKind.TOURNAMENT, detail)


def next_step(ramp: Ramp, verdicts: Mapping[str, VerdictFields], rules: RampRules) -> RampStep | None:
    """Return what follows from the verdicts by now, None where all stays as it is.

    A verdict on the time of another champion says nothing of this one's and is passed over. What is broken comes first,
    then what is better, then what is worth a trial.
    """
    current = {name: verdict for name, verdict in verdicts.items() if verdict.get("champion") == ramp.champion}
    if ramp.champion not in rules.known:
        reason = f"{ramp.champion} is not configured any more"
        return RampStep(Ramp(rules.first, barred=ramp.barred), "rollback", reason, {})
    if ramp.challenger:
        return _on_the_ramp(ramp, current.get(ramp.challenger), rules)
    return (
        _after_promotion(ramp, current, rules)
        or _guarded(ramp, current.get(BEST_CONSTANT), rules)
        or _on_trial(ramp, current, rules)
    )


def promote_by_hand(
    ramp: Ramp, name: str, rules: RampRules, *, at_once: bool, evidence: VerdictFields, who: str = ""
) -> RampStep:
    """Return the step that lets a challenger in, at the first share or at once for everything, since `who` asks.

    Raises ConfigError.
    """
    known = [known for known in rules.known if known != ramp.champion]
    if name == ramp.champion:
        raise ConfigError(f"{name} is the champion already")
    if name not in known:
        raise ConfigError(f"no challenger {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
    asked = replace(ramp, by=BY_HAND, barred=tuple(other for other in ramp.barred if other != name))
    if at_once:
        return _promoted(replace(asked, challenger=name), _asked_for(who, ", at once"), evidence)
    begun = replace(
        asked, challenger=name, share=rules.shares[0], decisions=int(evidence.get("decisions", 0)), warned=False
    )
    reason = _asked_for(who)
    return RampStep(begun, "trial", reason, evidence) if begun.share < 1 else _promoted(begun, reason, evidence)


def rollback_by_hand(ramp: Ramp, *, evidence: VerdictFields, who: str = "") -> RampStep:
    """Return the step that takes the challenger's traffic back, or the promotion. Raises ConfigError if neither is."""
    if not ramp.challenger and not ramp.previous:
        raise ConfigError(f"nobody has a share of the traffic, and nobody was champion before {ramp.champion}")
    return _rolled_back(replace(ramp, by=BY_HAND), _asked_for(who), evidence)


def _asked_for(who: str, how: str = "") -> str:
    return f"asked for{how}" + (f" by {who}" if who else "")


def _on_the_ramp(ramp: Ramp, verdict: VerdictFields | None, rules: RampRules) -> RampStep | None:
    if ramp.challenger not in rules.known:
        return _rolled_back(ramp, "it is not configured any more", {})
    if verdict is None:
        return None
    reason = broken_guard(verdict, rules)
    if reason:
        return _rolled_back(ramp, reason, verdict)
    is_due = verdict["decisions"] - ramp.decisions >= rules.step_decisions
    return _higher(ramp, verdict, rules) if is_due else None


def _higher(ramp: Ramp, verdict: VerdictFields, rules: RampRules) -> RampStep | None:
    """Return the next share; the last one takes evidence, or somebody who asked."""
    share = next((share for share in rules.shares if share > ramp.share), 1.0)
    if share < 1.0:
        higher = replace(ramp, share=share, decisions=int(verdict["decisions"]))
        return RampStep(higher, "share", "no guard is broken", verdict)
    if verdict["better"]:
        return _promoted(ramp, "earns more, as its lower bound shows", verdict)
    return _promoted(ramp, "no guard is broken", verdict) if ramp.by == BY_HAND else None


def broken_guard(verdict: VerdictFields, rules: RampRules, *, sign: int = 1) -> str:
    """Return which guard a challenger breaks, in words, empty for none; with `sign` -1 who decides, against it."""
    if verdict["worse" if sign > 0 else "better"]:
        return "it earns less, as a bound shows"
    for name, most in rules.most_worse.items():
        meter = verdict["meters"][name]
        least = meter["low"] if sign > 0 else -meter["high"]
        if least > most:
            unit = "points more" if name == FAILURES else "% more"
            return f"{name}: at least {100 * least:.1f} {unit}, of {100 * most:g} allowed"
    return ""


def _after_promotion(ramp: Ramp, current: Mapping[str, VerdictFields], rules: RampRules) -> RampStep | None:
    """Return the way back where the new champion does worse than the old one would."""
    if not ramp.previous:
        return None
    for verdict in current.values():
        if verdict["fell"]:
            return _rolled_back(ramp, f"rewards have fallen below {verdict['level']:.3f}, their level before", verdict)
    before = current.get(ramp.previous)
    reason = broken_guard(before, rules, sign=-1) if before is not None else ""
    return _rolled_back(ramp, reason, before or {}) if reason else None


def _guarded(ramp: Ramp, verdict: VerdictFields | None, rules: RampRules) -> RampStep | None:
    """Return what the guard has to say: that the best constant arm is better than the champion, or no more."""
    if verdict is None or ramp.champion == BEST_CONSTANT or verdict["better"] == ramp.warned:
        return None
    if not verdict["better"]:
        return RampStep(replace(ramp, warned=False), "guard", "the champion is worth its exploration again", verdict)
    reason = "the champion is not worth its exploration: the best constant arm earns more"
    if rules.stop:
        return _promoted(replace(ramp, challenger=BEST_CONSTANT, by=BY_EVIDENCE), reason, verdict)
    return RampStep(replace(ramp, warned=True), "guard", reason, verdict)


def _on_trial(ramp: Ramp, current: Mapping[str, VerdictFields], rules: RampRules) -> RampStep | None:
    """Return the trial of the challenger that looks best, if one does."""
    if rules.by != BY_EVIDENCE:
        return None
    promising = {name: current[name] for name in _candidates(ramp, rules.challengers) if name in current}
    promising = {
        name: verdict
        for name, verdict in promising.items()
        if not broken_guard(verdict, rules) and verdict["decisions"] >= rules.step_decisions
    }
    if not promising:
        return None
    name = max(promising, key=lambda name: promising[name]["difference"] or 0.0)
    verdict = promising[name]
    begun = replace(ramp, challenger=name, share=rules.shares[0], by=BY_EVIDENCE, decisions=int(verdict["decisions"]))
    if begun.share < 1.0:
        return RampStep(begun, "trial", "it looks best by now", verdict)
    return _higher(begun, verdict, rules)  # the ramp has no step but the last


def _candidates(ramp: Ramp, challengers: Sequence[str]) -> list[str]:
    return [name for name in challengers if name != ramp.champion and name not in ramp.barred]


def _promoted(ramp: Ramp, reason: str, evidence: VerdictFields) -> RampStep:
    promoted = replace(
        ramp, champion=ramp.challenger, previous=ramp.champion, challenger="", share=0.0, decisions=0, warned=False
    )
    return RampStep(promoted, "promote", reason, evidence)


def _rolled_back(ramp: Ramp, reason: str, evidence: VerdictFields) -> RampStep:
    """Return the ramp without the challenger, or with the champion before."""
    leaving = ramp.challenger or ramp.champion
    champion, previous = (ramp.champion, ramp.previous) if ramp.challenger else (ramp.previous, "")
    barred = tuple(dict.fromkeys((*ramp.barred, leaving)))
    back = replace(
        ramp, champion=champion, previous=previous, challenger="", share=0.0, decisions=0, barred=barred, warned=False
    )
    return RampStep(back, "rollback", f"{leaving}: {reason}", evidence)
