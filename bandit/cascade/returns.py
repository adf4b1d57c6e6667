"""What a cascade came to, as the reward of a bandit that drew its first arm: a function of what stands on the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import CascadeStage, Decision, Floats

_OPTIONS_FLAG = "options:"  # begins a context's flag: each arm's option value, with commas between


def option_flags(options: Floats | None) -> frozenset[str]:
    """Return what the log says of option values (K,), among the flags of the context; None: nothing."""
    if options is None:
        return frozenset()
    return frozenset({_OPTIONS_FLAG + ",".join(f"{value:.6g}" for value in options.tolist())})


def options_of(decision: Decision) -> Floats | None:
    """Return what it was worth to go on from each arm's answer, (K,), already taken off its penalty.

    None where the log does not say: no cascade was worth it, or the log is of before it said so. Raises ValueError for
    a damaged flag.
    """
    flags = decision.context.flags
    told = next((flag for flag in flags if flag.startswith(_OPTIONS_FLAG)), None) if flags else None
    if told is None:
        return None
    options: Floats = np.array([float(value) for value in told.removeprefix(_OPTIONS_FLAG).split(",")])
    if options.shape != decision.penalties.shape:
        raise ValueError(f"a decision between {len(decision.arms)} arms has {len(options)} option values")
    return options


def charged_penalties(decision: Decision) -> Floats:
    """Return the penalties of a decision's arms as they were charged, (K,): without what it was worth to go on."""
    options = options_of(decision)
    return decision.penalties if options is None else decision.penalties + options


@dataclass(frozen=True, slots=True)
class CascadeReturn:
    """What followed on the first answer."""

    further_penalty: float  # of the arms that were asked after it, in quality units
    # How many times the round counts for whoever would have served the first answer as it was: 1 / its probability of
    # being kept where it was, else 0 (importance sampling per decision: Precup, Sutton & Singh, ICML 2000).
    kept_ratio: float
    is_certain: bool  # whether the first answer could not have been kept: then nothing tells what it was worth


def cascade_return(stages: Sequence[CascadeStage], penalties: Mapping[str, float]) -> CascadeReturn:
    """Return what the stages of one decision came to, for arms' penalties in quality units; nothing, without stages.

    The draw of the first arm is not in it: its propensity stands on the decision. Routing breaks nothing here, as each
    stage's probability was settled before it was drawn; but who serves the first answer is taken to get the feedback
    that it got when it was held, and read a little later.
    """
    if not stages:
        return CascadeReturn(0.0, 1.0, is_certain=False)
    further = sum(penalties[stage.next_arm] for stage in stages if stage.went_on)
    first = stages[0]
    if first.went_on:
        return CascadeReturn(further, 0.0, is_certain=first.goes_on >= 1.0)
    return CascadeReturn(further, 1.0 / (1.0 - first.goes_on), is_certain=False)
