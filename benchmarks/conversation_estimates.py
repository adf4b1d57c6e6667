"""What `replay` makes of statements on whole conversations: bias, and how often its interval holds the truth.

    python -m benchmarks.conversation_estimates [--runs 40] [--conversations 600] [--turns 1 2 3]

Two arms are drawn evenly at every turn; the first is right .9 of the time, the other .5. At the end of a conversation
somebody says whether an answer of it, any of them alike, was right, which counts for each turn in equal shares. Nobody
names a user. The policy in question always takes the first arm, so its value is .9. Refused runs are left out of bias
and coverage.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.fixed import Fixed
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Decision, Feedback
from highwayman.feedback.fold.log_fold import Page
from highwayman.feedback.log.events import Event, encode
from highwayman.sims.logs.judged import TargetStore
from highwayman.sims.replay.comparison import EstimationMethod, PolicyEstimate, compare_policies, logged_policy_value
from highwayman.sims.replay.event_log import summarise_log
from highwayman.sims.replay.rounds import Counterfactual, ReplayCounts
from highwayman.sims.replay.targets import EventLog

GOOD = np.array([0.9, 0.5])


def log(conversations: int, turns: int, rng: np.random.Generator) -> list[Event]:
    """Return the events of so many conversations."""
    events: list[Event] = []
    context = Context(np.array([0.5, 1.0]), "f", prompt_tokens=5)
    for talk in range(conversations):
        arms, at = rng.integers(0, 2, turns), 100.0 * talk
        names = [f"d{talk}-{turn}" for turn in range(turns)]
        events += [
            Decision(name, "default", at + turn, context, ("a", "b"), np.zeros(2), np.full(2, 0.5), int(arm), 0.5,
                     "p", 1, "auto", links=(f"talk{talk}",))
            for turn, (name, arm) in enumerate(zip(names, arms, strict=True))
        ]  # fmt: skip
        good = float(rng.random() < GOOD[arms].mean())
        events += [Feedback(f"t{talk}.x", name, at + 50, "user", "thumbs", good, weight=1 / turns) for name in names]
    return events


def estimated(events: list[Event]) -> PolicyEstimate:
    """Return what replaying the first arm comes to."""
    rows = [(f"{number}-0", encode(event), False) for number, event in enumerate(events, start=1)]

    def pages() -> Iterator[Page]:
        yield rows

    event_log = EventLog(pages, summarise_log(pages), DEFAULT_SPEC, kept_s=1e9)
    with TargetStore(1) as store:
        make = [lambda d, fingerprint: Fixed(d=d, fingerprint=fingerprint, arm="a")]
        store.fill(event_log.targets(make, Counterfactual(ExplorationRules(0.0)), ReplayCounts()))
        method = EstimationMethod(reward="quality")
        known = logged_policy_value(store.chunks, method.interval)
        return compare_policies(store.chunks, ["a"], method, known=known)[0]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--conversations", type=int, default=600)
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"{arguments.runs} runs of {arguments.conversations} conversations; truth 0.9")
    print(f"{'turns':>5}{'estimate':>10}{'held':>8}{'effective':>11}{'refused':>9}")
    for turns in arguments.turns:
        rng, found = np.random.default_rng(arguments.seed), []
        for _ in range(arguments.runs):
            found.append(estimated(log(arguments.conversations, turns, rng)).values["quality"])
        told = [one for one in found if not one.refused]
        held = f"{np.mean([one.low <= 0.9 <= one.high for one in told]):.1%}" if told else "-"
        value = f"{np.mean([one.value for one in told]):.3f}" if told else "-"
        effective = np.mean([one.support.ess for one in found])
        print(f"{turns:>5}{value:>10}{held:>8}{effective:>11.0f}{1 - len(told) / len(found):>9.0%}", flush=True)


if __name__ == "__main__":
    main()
