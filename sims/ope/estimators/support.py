"""Whether a log can tell what a policy would have earned, and in words why not."""

import math

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues, Support
from highwayman.sims.ope.estimators.ratios import ones, ratios
from highwayman.sims.ope.estimators.rewards import Block
from highwayman.sims.ope.intervals.session_sums import SessionSums

LEAST_ESS = 50.0
LEAST_ESS_SHARE = 0.01  # of the rounds with a reward
MOST_UNSUPPORTED = 0.05
DOUBTFUL_UNSUPPORTED = 0.01
MOST_OF_ONE_ROUND = 0.1  # of the weight
RATIO_STDERRS = 5.0
RATIO_TOLERANCE = 0.01  # a mean ratio this near to what is expected is no ground for refusal, however sure
FEW_SESSIONS = 30


class SupportTally:
    """Counts, over the blocks of a log, what `Support` says of a target policy."""

    def __init__(self) -> None:
        self._n = self._censored = 0
        self._total = self._squares = self._max_ratio = self._unsupported = self._counted = 0.0
        self._ratios = SessionSums()  # mean ratio, with a standard error that knows sessions
        self._weight = self._heaviest = 0.0

    def add(self, block: Block, target: Floats, rounds: RoundValues) -> None:
        """Count a block, the target's probabilities (n, K) on it, and the estimator's weights."""
        log = block.log
        self._censored += block.censored
        if not log.n:
            return
        ratio = ratios(log, target)
        self._n += log.n
        self._max_ratio = max(self._max_ratio, float(ratio.max()))
        weighed = RoundValues(ratio, ones(log.n), ratio, log.sessions, 0.0, math.inf).weighted(block.log.weights)
        # What was said of several draws stands in as many rounds, which are worth one.
        self._squares += float(weighed.numerator @ (weighed.numerator * log.draws_per_reward()))
        self._total += float(weighed.numerator.sum())
        self._ratios.add(weighed)
        if not log.eligible.all():
            self._unsupported += float(np.where(log.eligible, 0.0, target).sum(axis=1) @ weighed.denominator)
        self._counted += float(weighed.denominator.sum())
        self._weight += float(rounds.ratio.sum())
        self._heaviest = max(self._heaviest, float(rounds.ratio.max()))

    def support(self) -> Support:
        """Return the counts; NaN where there was no round."""
        n, mean = self._n, self._ratios.value()
        ess = self._total**2 / self._squares if self._squares > 0 else 0.0
        unsupported = self._unsupported / self._counted if n else math.nan
        return Support(n, self._censored, ess, mean, self._max_ratio, unsupported)

    def refusals(self) -> tuple[str, ...]:
        """Return why the log cannot tell, a sentence each; none: it can."""
        support = self.support()
        if support.n == 0:
            return ("the log holds no round with a reward",)
        reasons = (self._too_small(support), self._unseen(support), self._one_round(), self._ratio_off(support))
        return tuple(reason for reason in reasons if reason)

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader of the estimate should know, a sentence each."""
        support, warnings = self.support(), []
        if support.censored:
            share = support.censored / (support.censored + support.n)
            warnings.append(f"{share:.1%} of the rounds have no reward: the estimate speaks of the others only")
        if support.n and DOUBTFUL_UNSUPPORTED < support.unsupported <= MOST_UNSUPPORTED:
            warnings.append(f"{support.unsupported:.1%} of this policy's choices are arms not eligible on the log")
        sessions = self._ratios.stderr()[1]
        if 1 < sessions < FEW_SESSIONS:
            warnings.append(f"the rounds come from {sessions} sessions only: intervals that count sessions are rough")
        if sessions == 1:
            warnings.append("all rounds are of one session: no interval can count sessions")
        return tuple(warnings)

    def _too_small(self, support: Support) -> str:
        size = f"to this policy the {support.n} rounds are worth {support.ess:.0f} of its own (effective sample size)"
        if support.ess < LEAST_ESS:
            return f"{size}, and {LEAST_ESS:.0f} are needed: log more rounds, or with more exploration"
        if support.ess < LEAST_ESS_SHARE * support.n:
            return f"{size}, less than {LEAST_ESS_SHARE:.0%}: the log hardly ever did what this policy would do"
        return ""

    def _unseen(self, support: Support) -> str:
        if support.unsupported <= MOST_UNSUPPORTED:
            return ""
        return (
            f"{support.unsupported:.1%} of this policy's choices are arms that were not eligible on the log "
            f"(at most {MOST_UNSUPPORTED:.0%} can be borne): what those would have earned is not in it"
        )

    def _one_round(self) -> str:
        share = self._heaviest / self._weight if self._weight > 0 else 0.0
        if share <= MOST_OF_ONE_ROUND:
            return ""
        return f"one round carries {share:.0%} of all the weight: the estimate is little more than its reward"

    def _ratio_off(self, support: Support) -> str:
        expected = 1.0 - support.unsupported
        deviation, stderr = abs(support.mean_ratio - expected), self._ratios.stderr()[0]
        if deviation <= RATIO_TOLERANCE or not deviation > RATIO_STDERRS * np.nan_to_num(stderr, nan=math.inf):
            return ""
        # The converse does not hold: who rates bad answers rather than good ones biases values by more than this.
        censoring = ", or whether people say anything depends on the arm" if support.censored else ""
        # An arm that is hardly ever drawn leaves the few large ratios out that would make up for the small ones.
        chance = "with so few rounds of its own that may be chance; else " if support.ess < LEAST_ESS else ""
        times = f"{deviation / stderr:.0f}" if stderr else "any number of"
        return (
            f"the mean importance ratio is {support.mean_ratio:.3f}, {times} standard errors from the {expected:.3f} "
            f"expected: {chance}the propensities are not what the arms were drawn with, or rounds are missing from "
            f"the log{censoring}"
        )
