import numpy as np
import pytest

from highwayman.bandit.draw import draw
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.types import Context, Floats, RewardChange

CODE, PROSE = np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
QUALITY = {"coder": (0.9, 0.2), "poet": (0.2, 0.9), "dunce": (0.1, 0.1)}  # expected at CODE, at PROSE
ARMS = tuple(QUALITY)
FREE = np.zeros(3)
# Said in full, so that no claim here hangs on a default.
OPTIONS = {
    "exploration": 1.0,
    "prior_precision": 4.0,
    "intercept_precision": 1.0,
    "prior_mean": 0.6,
    "noise_variance": 0.1,
    "noise_weight": 20.0,
}


def context(features: Floats) -> Context:
    return Context(features=features, fingerprint="f", prompt_tokens=10)


def thumb(arm: str, features: Floats, value: float) -> RewardChange:
    return RewardChange(arm, features, 1.0, value, value**2)


def lin_ts(*changes: RewardChange, **options: float) -> LinTS:
    policy = LinTS(d=3, fingerprint="f", **{**OPTIONS, **options})
    for arm in ARMS:
        policy.add_arm(arm)
    policy.learn(changes)
    return policy


def rounds(policy: LinTS, n: int, *, seed: int) -> tuple[Floats, Floats]:
    """Return expected quality of the arms drawn and of the best ones, (n,) each, while the policy learns."""
    rng = np.random.default_rng(seed)
    got, best = np.empty(n), np.empty(n)
    for i in range(n):
        kind = int(rng.integers(2))
        features = (CODE, PROSE)[kind]
        drawn = draw(policy.probs(context(features), ARMS, FREE), floor=0.02, rng=rng)
        arm = ARMS[drawn.action]
        got[i], best[i] = QUALITY[arm][kind], max(quality[kind] for quality in QUALITY.values())
        policy.learn([thumb(arm, features, float(rng.random() < got[i]))])
    return got, best


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_learns_which_arm_answers_which_kind_of_query(seed: int) -> None:
    policy = lin_ts()
    got, best = rounds(policy, 1500, seed=seed)
    assert got[-500:].sum() > 0.95 * best[-500:].sum()
    assert got.sum() > 0.9 * best.sum()  # learning included
    assert policy.probs(context(CODE), ARMS, FREE).argmax() == 0
    assert policy.probs(context(PROSE), ARMS, FREE).argmax() == 1


def test_before_any_reward_all_arms_are_alike() -> None:
    assert lin_ts().probs(context(CODE), ARMS, FREE) == pytest.approx([1 / 3] * 3)


def test_two_arms_are_chosen_as_the_closed_form_says() -> None:
    # Both means 0.6, both deviations sqrt(0.1 * (1/4 + 1)); a penalty of one joint deviation: Phi(-1) = 0.15866.
    joint = np.sqrt(2 * 0.1 * (1 / 4 + 1))
    probs = lin_ts().probs(context(CODE), ["coder", "poet"], np.array([joint, 0.0]))
    assert probs == pytest.approx([0.15866, 0.84134], abs=1e-4)


def test_a_penalty_takes_probability_from_its_arm_and_enough_of_it_takes_all() -> None:
    policy = lin_ts(*[thumb("coder", CODE, 1.0)] * 20)
    shares = [policy.probs(context(CODE), ARMS, np.array([penalty, 0.0, 0.0]))[0] for penalty in (0.0, 0.2, 0.5, 9.0)]
    assert shares[0] > shares[1] > shares[2] > shares[3] == 0.0


def test_the_same_penalty_for_all_changes_nothing() -> None:
    policy = lin_ts(thumb("coder", CODE, 1.0), thumb("poet", CODE, 0.0))
    free, dear = (policy.probs(context(CODE), ARMS, np.full(3, penalty)) for penalty in (0.0, 0.4))
    assert dear == pytest.approx(free, abs=1e-9)


def test_more_of_the_same_evidence_concentrates_on_the_better_arm() -> None:
    evidence = [
        thumb("coder", CODE, 1.0),
        thumb("coder", CODE, 0.5),
        thumb("poet", CODE, 0.5),
        thumb("poet", CODE, 0.0),
    ]
    shares = [lin_ts(*evidence * n).probs(context(CODE), ["coder", "poet"], np.zeros(2))[0] for n in (1, 4, 16, 64)]
    assert shares == sorted(shares)
    assert shares[0] < 0.95
    assert shares[-1] > 0.99


def test_more_exploration_spreads_and_less_concentrates() -> None:
    evidence = [thumb("coder", CODE, 1.0), thumb("poet", CODE, 0.0)] * 3
    tame, proper, wild = (
        lin_ts(*evidence, exploration=factor).probs(context(CODE), ["coder", "poet"], np.zeros(2))[0]
        for factor in (0.2, 1.0, 5.0)
    )
    assert tame > proper > wild > 0.5


def test_a_dropped_arm_comes_back_with_what_was_learned_of_it() -> None:
    policy = lin_ts(*[thumb("coder", CODE, 1.0), thumb("poet", CODE, 0.0)] * 5)
    before = policy.probs(context(CODE), ARMS, FREE)
    policy.drop_arm("coder")
    policy.add_arm("coder")
    assert policy.probs(context(CODE), ARMS, FREE).tolist() == before.tolist()


@pytest.mark.parametrize("exploration", [0.0, -1.0, float("nan"), float("inf")])
def test_an_exploration_no_probability_can_come_of_is_refused(exploration: float) -> None:
    with pytest.raises(ValueError, match="exploration must be"):
        LinTS(d=3, exploration=exploration)
