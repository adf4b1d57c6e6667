"""A challenger's share of the traffic: what is drawn from is the exact mixture."""

from collections.abc import Sequence

import numpy as np
import pytest

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ChallengerShare, ExplorationRules, decide, decision_probs
from highwayman.bandit.draw import one_hot_argmax
from highwayman.bandit.policies.fixed import Fixed
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context, Floats

ARMS = ("ada", "bob", "cy", "dee")
CONTEXT = Context(np.ones(1), "f", 1)
CANDIDATES = Candidates(ARMS, usd=np.ones(4), penalties=np.zeros(4))


def rules(share: float) -> ExplorationRules:
    return ExplorationRules(floor=0.2, challenger=ChallengerShare(Fixed(d=1, arm="bob"), share))


def probs(share: float, *, explores: bool = True) -> Sequence[float]:
    policy = Fixed(d=1, arm="ada")
    mixed = decision_probs(policy, CONTEXT, CANDIDATES, rules(share), explores=explores, at=0.0)
    return [float(prob) for prob in mixed]


def test_probabilities_are_the_mixture_of_both_with_the_floor_beneath() -> None:
    assert probs(0.25) == pytest.approx([0.8 * 0.75 + 0.05, 0.8 * 0.25 + 0.05, 0.05, 0.05])


def test_a_floor_of_the_challengers_own_lies_beneath_its_share_only() -> None:
    own = ExplorationRules(0.2, challenger=ChallengerShare(Fixed(d=1, arm="bob"), 0.25, floor=0.4))
    mixed = decision_probs(Fixed(d=1, arm="ada"), CONTEXT, CANDIDATES, own, explores=True, at=0.0)
    assert mixed.tolist() == pytest.approx([0.75 * 0.85 + 0.25 * 0.1, 0.75 * 0.05 + 0.25 * 0.7, 0.0625, 0.0625])


class Thrifty(Fixed):
    """Takes the arm of the least penalty."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return one_hot_argmax(-penalties)


@pytest.mark.parametrize("explores", [True, False])
def test_each_policy_goes_by_its_own_dial_and_the_log_by_the_callers(explores: bool) -> None:
    policy, dear = Thrifty(d=1), {"ada": 1.0, "bob": 0.5, "cy": 1.0, "dee": 1.0}
    own = ExplorationRules(0.0, dial=dear, challenger=ChallengerShare(policy, 0.25, floor=0.0, dial={"ada": -1.0}))
    limits = Objective("auto", explore=explores)
    choice = decide(policy, CONTEXT, CANDIDATES, own, limits=limits, at=0.0, rng=np.random.default_rng(0))
    assert choice.draw.probs.tolist() == ([0.25, 0.75, 0.0, 0.0] if explores else [0.0, 1.0, 0.0, 0.0])
    assert choice.candidates.penalties.tolist() == [0.0] * 4


def test_a_request_that_may_not_explore_is_the_champions() -> None:
    assert probs(0.9, explores=False) == [1.0, 0.0, 0.0, 0.0]


def test_draws_come_as_often_as_their_propensities_say() -> None:
    rng, policy, counts = np.random.default_rng(0), Fixed(d=1, arm="ada"), np.zeros(4)
    for _ in range(2000):
        choice = decide(policy, CONTEXT, CANDIDATES, rules(0.25), limits=Objective("auto", 0.0), at=0.0, rng=rng)
        counts[choice.draw.action] += 1
        assert choice.draw.propensity == choice.draw.probs[choice.draw.action]
    assert counts / 2000 == pytest.approx(np.array(probs(0.25)), abs=0.04)
