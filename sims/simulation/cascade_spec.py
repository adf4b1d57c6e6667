"""Cascades written as text, for the command line: `learned`, `cheapest`, `verified:0.6`."""

from dataclasses import replace

from highwayman.bandit.cascade.plan import GOOD, CascadeRules, Threshold
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.sims.simulation.scenario import Scenario, WorldError

LEARNED = "learned"  # the plan decides whom to ask first, whether answers are looked at, and when one is good enough
CHEAPEST = "cheapest"  # the same gate, but always from the cheapest arm: a cascade that never routes


def cascade_rules(gate: str, rules: CascadeRules) -> CascadeRules:
    """Return the rules with a gate: `learned`, `cheapest` or `SIGNAL:NUMBER`. Raises ConfigError for another."""
    if gate in (LEARNED, CHEAPEST):
        return replace(rules, threshold=None, begin_with_cheapest=gate == CHEAPEST)
    signal, colon, number = gate.rpartition(":")
    try:
        threshold = Threshold(signal, float(number))
    except ValueError:
        colon = ""
    if not colon or not signal:
        hint = did_you_mean(gate, (LEARNED, CHEAPEST))
        raise ConfigError(
            f"a cascade is {LEARNED}, {CHEAPEST} or SIGNAL:NUMBER, below which the next dearer arm is asked, "
            f"as verified:0.6; got {gate!r}{hint}"
        )
    return replace(rules, threshold=threshold, begin_with_cheapest=False)


def with_cascade(policy: str, gate: str | None) -> str:
    """Return what a policy with a cascade is called in results."""
    return policy if gate is None else f"{policy} | cascade {gate}"


def check_told(rules: CascadeRules, scenario: Scenario, world: str) -> None:
    """Return if answers of the scenario tell what a cascade looks at. Raises WorldError."""
    threshold = rules.threshold
    if not scenario.signals:
        raise WorldError(
            f"no answer of the world {world!r} tells anything, so a cascade has nothing to look at; "
            "add a signal, as in --world Confidence:separation=2"
        )
    if threshold is not None and threshold.signal not in (*scenario.signals, GOOD):
        raise WorldError(
            f"no answer of the world {world!r} tells {threshold.signal!r}; told are {', '.join(scenario.signals)}, "
            f"and {GOOD}, the learned gate"
        )
