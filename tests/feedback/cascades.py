"""A log of cascades with a known truth, every case on it as often as it is probable."""

from dataclasses import replace

import numpy as np

from highwayman.bandit.cascade.returns import option_flags
from highwayman.env.types import CascadeStage, Decision, Feedback, Mode, Outcome
from highwayman.feedback.log.events import Event
from tests.feedback.worlds import decision, outcome, thumb

# Of a's answers half look good and are worth .9, half look bad and are worth .3; b's are worth .9, at a penalty of .2.
# The plan goes on from what looks good with probability .1, from what looks bad with .9.
QUALITY, GOES_ON, PENALTIES, OPTIONS, PROBS = {1: 0.9, 0: 0.3}, {1: 0.1, 0: 0.9}, (0.0, 0.2), (0.15, 0.0), (0.7, 0.3)
BEGUN_WITH_A = 0.5 * (0.9 * 0.9 + 0.1 * 0.7) + 0.5 * (0.1 * 0.3 + 0.9 * 0.7)
CHAMPION = 0.7 * BEGUN_WITH_A + 0.3 * 0.7
TRUE = {("a", True): BEGUN_WITH_A - CHAMPION, ("a", False): 0.6 - CHAMPION, ("b", True): 0.7 - CHAMPION}
TRUE["b", False] = TRUE["b", True]


def cascades(times: int = 1) -> list[Event]:
    """200 decisions a time, each case as often as it is probable, in a mixed order."""
    cases = 60 * [("b", 1, False)]
    for looks in (1, 0):
        went_on = round(70 * GOES_ON[looks])
        cases += went_on * [("a", looks, True)] + (70 - went_on) * [("a", looks, False)]
    rng, events = np.random.default_rng(0), list[Event]()
    for number, place in enumerate(np.concatenate([rng.permutation(len(cases)) for _ in range(times)]).tolist()):
        events += answered(f"d{number}", *cases[place])
    return events


def answered(name: str, arm: str, looks: int, went_on: bool) -> tuple[Decision, Outcome, Feedback]:
    made = decision(name, arm=arm, mode=Mode.CASCADE)
    context = replace(made.context, flags=made.context.flags | option_flags(np.array(OPTIONS)))
    made = replace(made, context=context, penalties=np.subtract(PENALTIES, OPTIONS), probs=np.array(PROBS),
                   propensity=PROBS[made.action])  # fmt: skip
    if arm == "b":
        last = CascadeStage("b", {"expected": 0.9}, 0.9, 0.0, False, "", cost_usd=0.004)
        return made, replace(outcome(name, arm="b", cost_usd=0.004), stages=(last,)), thumb(name, 0.9)
    goes_on = GOES_ON[looks]
    first = CascadeStage("a", {"looks": float(looks), "expected": 0.6}, 0.6, goes_on, went_on, "b", cost_usd=0.001)
    if not went_on:
        return made, replace(outcome(name, arm="a", cost_usd=0.001), stages=(first,)), thumb(name, QUALITY[looks])
    second = CascadeStage("b", {"expected": 0.9}, 0.9, 0.0, False, "", cost_usd=0.004)
    return made, replace(outcome(name, arm="b", cost_usd=0.005), stages=(first, second)), thumb(name, 0.9)
