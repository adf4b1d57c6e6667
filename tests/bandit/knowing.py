"""Ada costs $1, Bob $2, Cy $4 a call; a policy that knows them expects .4, .6, .9 of them."""

from collections.abc import Sequence

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context, Floats

ARMS = ("ada", "bob", "cy")
QUALITY = {"ada": 0.4, "bob": 0.6, "cy": 0.9}
CONTEXT = Context(np.ones(1), "f", 1)
CANDIDATES = Candidates(ARMS, usd=np.array([1.0, 2.0, 4.0]), penalties=np.array([0.0, 0.1, 0.2]))
AUTO = Objective("auto", 0.0)
FLOOR = ExplorationRules(floor=0.3)


class Knowing(Uniform):
    """Expects QUALITY, and takes the best arm of what it is asked about, seven times out of ten."""

    def __init__(self) -> None:
        super().__init__(d=1)

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        return np.array([QUALITY[arm] for arm in arms])

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        probs = np.full(len(arms), 0.3 / len(arms))
        probs[int((self.expected_quality(context, arms) - penalties).argmax())] += 0.7
        return probs


class Till:
    """A budget that asks a tenth of quality a dollar, and pays for so much a call."""

    def __init__(self, most_usd: float) -> None:
        self.most_usd = most_usd

    def penalties(self, expected_usd: Floats) -> Floats:
        return 0.1 * expected_usd

    def over_budget(
        self, expected_usd: Floats, most_usd: Floats | None = None
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return expected_usd > self.most_usd


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def probs_of(candidates: Candidates = CANDIDATES, rules: ExplorationRules = FLOOR, *, explores: bool = True) -> Floats:
    return decision_probs(Knowing(), CONTEXT, candidates, rules, explores=explores, at=0.0)
