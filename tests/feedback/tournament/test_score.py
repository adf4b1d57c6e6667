"""What the log says of a challenger: against hand-made rounds, revisions, restarts and simulated ones."""

import numpy as np
import pytest

from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Decision, Floats, Outcome, Status
from highwayman.feedback.tournament.contrast import SPAN, contrast, contrast_by_propensity
from highwayman.feedback.tournament.paired_bets import PairedBets
from highwayman.feedback.tournament.score import ChallengerScore

ARMS = ("a", "b")


def decision(number: int, probs: Floats, action: int, penalties: Floats | None = None) -> Decision:
    context = Context(np.ones(1), "f", 10)
    charged = np.zeros(len(probs)) if penalties is None else penalties
    return Decision(
        f"d{number}",
        "default",
        float(number),
        context,
        ARMS,
        charged,
        probs,
        action,
        float(probs[action]),
        "P",
        1,
        "auto",
    )


def played(rng: np.random.Generator, n: int, *, quality: Floats, probs: Floats, challenger: Floats) -> ChallengerScore:
    score = ChallengerScore()
    for number in range(n):
        action = int(rng.random() < probs[1])
        made = decision(number, probs, action)
        score.on_decision(made, challenger, np.array([0.5, 0.5]))
        score.on_reward(made, None, float(rng.random() < quality[action]))
    return score


def test_a_round_says_what_the_doubly_robust_formula_says_where_ratios_are_small() -> None:
    line = contrast([0.25, 0.75], [0.5, 0.5], 1, quality=[0.4, 0.6], penalties=[0.0, 0.1])
    # (-.25)(.4) + (.25)(.6 - .1) + .5 (r - .6)
    assert line.lower == pytest.approx(-0.1 + 0.125 - 0.3)
    assert line.upper == pytest.approx(line.lower)
    assert line.slope == pytest.approx(0.5)


def test_both_ends_expect_the_true_difference_and_keep_to_the_span_however_large_the_ratios() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        challenger, logged = rng.dirichlet([0.3] * 4), rng.dirichlet([0.2] * 4)
        quality, truth, penalties = rng.random(4), rng.random(4), 2 * rng.random(4)
        lines = [
            contrast(
                challenger.tolist(), logged.tolist(), action, quality=quality.tolist(), penalties=penalties.tolist()
            )
            for action in range(4)
        ]
        lower, upper, slope = np.array([(line.lower, line.upper, line.slope) for line in lines]).T
        dearer = np.minimum(penalties - penalties.min(), 1.0)
        expected = (challenger - logged) @ (truth - dearer)
        assert logged @ (lower + slope * truth) == pytest.approx(expected)
        assert logged @ (upper + slope * truth) == pytest.approx(expected)
        assert (lower + np.minimum(slope, 0.0)).min() >= -SPAN - 1e-9
        assert (upper + np.maximum(slope, 0.0)).max() <= SPAN + 1e-9
        assert logged @ slope**2 == pytest.approx(lines[0].spread)


def test_by_one_propensity_alone_both_ends_expect_the_true_difference_or_lie_beyond_it() -> None:
    rng = np.random.default_rng(1)
    for number in range(200):
        challenger, logged = rng.dirichlet([0.3] * 4), rng.dirichlet([0.5] * 4)
        truth, penalties = rng.random(4), 2 * rng.random(4)
        if number % 2:  # another router that never takes the first arm
            logged = np.array([0.0, *(logged[1:] / logged[1:].sum())])
        places = np.flatnonzero(logged)
        lines = [
            contrast_by_propensity(challenger.tolist(), float(logged[place]), place, penalties=penalties.tolist())
            for place in places
        ]
        lower, upper, slope = np.array([(line.lower, line.upper, line.slope) for line in lines]).T
        dearer = np.minimum(penalties - penalties.min(), 1.0)
        expected, beyond = (challenger - logged) @ (truth - dearer), challenger[logged == 0.0].sum()
        missed = float((challenger * truth)[logged == 0.0].sum())
        assert logged[places] @ (lower + slope * truth[places]) == pytest.approx(expected - missed)
        assert logged[places] @ (upper + slope * truth[places]) == pytest.approx(expected - missed + beyond)
        assert (lower + np.minimum(slope, 0.0)).min() >= -SPAN
        assert (upper + np.maximum(slope, 0.0)).max() <= SPAN


def test_what_the_challenger_would_give_arms_that_could_not_be_drawn_is_told() -> None:
    line = contrast([0.2, 0.3, 0.5], [0.5, 0.5, 0.0], 0, quality=[0.5] * 3, penalties=[0.0] * 3)
    assert line.unsupported == pytest.approx(0.5)
    assert line.slope == pytest.approx((0.4 - 0.5) / 0.5)


def test_the_interval_closes_around_the_true_difference() -> None:
    rng = np.random.default_rng(1)
    score = played(rng, 1500, quality=np.array([0.4, 0.7]), probs=np.array([0.6, 0.4]), challenger=np.array([0.1, 0.9]))
    verdict = score.verdict(0.05)
    assert verdict.better
    assert not verdict.worse
    assert not verdict.refused
    assert 0.0 < verdict.low < 0.15 < verdict.high < 0.3  # .5 of the traffic moved to an arm that is .3 better
    assert verdict.mean_ratio == pytest.approx(1.0, abs=0.1)
    assert verdict.ess > 500


def test_a_worse_challenger_is_told_to_be_worse() -> None:
    rng = np.random.default_rng(2)
    score = played(rng, 1500, quality=np.array([0.7, 0.4]), probs=np.array([0.6, 0.4]), challenger=np.array([0.1, 0.9]))
    assert score.verdict(0.05).worse
    assert not score.verdict(0.05).better


def test_a_reward_that_was_revised_counts_as_if_it_had_been_so_from_the_start() -> None:
    probs, challenger, expected = np.array([0.6, 0.4]), np.array([0.1, 0.9]), np.array([0.5, 0.6])
    revised, final = ChallengerScore(), ChallengerScore()
    for number in range(40):
        made = decision(number, probs, number % 2)
        revised.on_decision(made, challenger, expected)
        final.on_decision(made, challenger, expected)
        revised.on_reward(made, None, 1.0)
        revised.on_reward(made, 1.0, None)
        if number % 3:
            revised.on_reward(made, None, 0.25)
            final.on_reward(made, None, 0.25)
    ours, theirs = revised.verdict(0.05), final.verdict(0.05)
    assert ours.rounds == theirs.rounds == 26
    assert ours.difference == pytest.approx(theirs.difference, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_a_score_that_goes_on_from_its_state_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(3)
    setting = {"quality": np.array([0.4, 0.7]), "probs": np.array([0.6, 0.4]), "challenger": np.array([0.1, 0.9])}
    score, resumed = played(rng, 200, **setting), ChallengerScore()
    resumed.restore(score.state())
    assert resumed.state() == score.state()
    late = decision(199, setting["probs"], 0)
    for each in (score, resumed):
        each.on_reward(late, None, 1.0)
    assert resumed.verdict(0.05) == score.verdict(0.05)
    with pytest.raises(SnapshotError):
        resumed.restore(b"no score")


def test_rewards_of_decisions_beyond_the_window_count_no_more() -> None:
    score, probs = ChallengerScore(window=2), np.array([0.5, 0.5])
    made = [decision(number, probs, 0) for number in range(3)]
    for each in made:
        score.on_decision(each, probs, probs)
    for each in made:
        score.on_reward(each, None, 1.0)
    assert score.verdict(0.05).rounds == 2


def test_without_rounds_nothing_is_known_and_that_is_said() -> None:
    verdict = ChallengerScore().verdict(0.05)
    assert (verdict.low, verdict.high) == (-SPAN, SPAN)
    assert verdict.refused
    assert not verdict.better
    assert not verdict.worse


def test_a_challenger_whose_calls_fail_more_often_is_told_so() -> None:
    rng, score, probs = np.random.default_rng(4), ChallengerScore(), np.array([0.7, 0.3])
    for number in range(1500):
        action = int(rng.random() < probs[1])
        score.on_decision(decision(number, probs, action), np.array([0.0, 1.0]), probs)
        status = Status.FAILED if rng.random() < (0.02, 0.3)[action] else Status.OK
        score.on_outcome(Outcome(f"d{number}", 1.0, ARMS[action], status, cost_usd=0.001, latency_s=(1.0, 2.0)[action]))
    meters = score.verdict(0.05).meters
    assert 0.05 < meters["failures"].low < meters["failures"].high < 0.5
    assert meters["seconds"].low > 0.1
    assert meters["dollars"].low < 0.0 < meters["dollars"].high


def test_the_true_difference_is_refuted_in_few_of_many_runs_that_look_at_every_round() -> None:
    alpha, missed = 0.1, 0
    for seed in range(60):
        rng, bets = np.random.default_rng(seed), PairedBets()
        for _ in range(40):
            drawn = float(rng.random() < 0.1)
            bets.add(10 * drawn - 1.0, 0.0, 3)
            missed += bets.exceeds(0.0, alpha)
            if bets.exceeds(0.0, alpha):
                break
    assert missed <= 10


@pytest.mark.parametrize("window", [20, 1000])
def test_a_score_is_the_same_however_often_it_is_looked_at(window: int) -> None:
    """What comes of decisions is computed for many of them at once, when somebody asks."""
    rng = np.random.default_rng(5)
    seldom, often = ChallengerScore(window=window), ChallengerScore(window=window)
    made: list[Decision] = []
    rewards: dict[str, float | None] = {}
    for number in range(600):
        logged = np.round(rng.dirichlet(np.ones(3)), 3)
        logged[rng.integers(3)] *= rng.random() < 0.8  # an arm that could not be drawn
        action = int(np.argmax(logged))
        arms = 3 if number % 100 else 2  # one was added meanwhile
        made.append(decision(number, logged[:arms] / logged[:arms].sum(), min(action, arms - 1), rng.random(arms)))
        challenger, expected = rng.dirichlet(np.ones(arms)), rng.random(arms)
        of = made[-int(rng.integers(1, 60)) :][0]
        before, after = rewards.get(of.id), float(rng.random()) if rng.random() < 0.7 else None
        rewards[of.id] = after
        ended = Outcome(made[-1].id, 1.0, "a", Status.OK, cost_usd=rng.random(), latency_s=rng.random())
        for score in (seldom, often):
            score.on_decision(made[-1], challenger, expected)
            score.on_outcome(ended)
            score.on_reward(of, before, after)
        if number % 7 == 0:
            often.state()
    assert seldom.state() == often.state()
    assert seldom.verdict(0.05) == often.verdict(0.05)
    assert seldom.verdict(0.05).rounds > 0


def test_a_round_that_rounding_puts_beyond_its_bound_leaves_what_is_known_a_number() -> None:
    bets = PairedBets()
    for lower, upper in [(0.4, 0.5)] * 200 + [(-2.0, 256.0)]:
        bets.add(lower, upper, 0)
    low, high = bets.interval(0.05)
    assert 0.0 < low < 0.4 < high
