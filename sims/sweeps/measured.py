"""What choices on a scenario came to, as a sweep's results have it: a run as a row, and its stretches."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from highwayman.env.cost.efficiency import inference_efficiencies
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools
from highwayman.sims.measures.budget import SETTLING, budget_compliance
from highwayman.sims.measures.value import Choices, regret_best_fixed, regret_oracle, shares, taken
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.sweeps.results import Bin, RunResult

_FIRST, _LAST = 0.1, 0.25  # shares of the rounds that `first_value` and `last_value` are over


class Measured:
    """n rounds of choices: actions (n,), or probabilities (n, K), which count by expectation."""

    def __init__(
        self,
        scenario: Scenario,
        utility: Floats,
        choices: Choices,
        *,
        where: Mapping[str, Any],
        cascades: Run | None = None,
    ) -> None:
        """Take what was chosen on a scenario.

        Args:
            scenario: n rounds over K arms.
            utility: (n, K) quality minus penalty.
            choices: actions or probabilities.
            where: table, world, policy and seed, which name the rows.
            cascades: a run in which the choices were asked first, and others after them: what all of that came to
                counts, the shares of arms are of the choices.
        """
        self._course, self._choices, self._where = scenario, choices, dict(where)
        self._utility = taken(utility, choices)
        self._cost = taken(scenario.cost_usd, choices)
        self._quality = taken(scenario.quality, choices)
        self._regret = regret_best_fixed(utility, choices, scenario.available)
        self._regret_oracle = regret_oracle(utility, choices, scenario.available)
        self._asked = None if cascades is None else cascades.asked
        if cascades is not None:
            lost = self._utility - cascades.utility(scenario)
            self._regret, self._regret_oracle = self._regret + lost, self._regret_oracle + lost
            self._utility, self._quality = cascades.utility(scenario), cascades.quality(scenario)
            self._cost = cascades.cost_usd(scenario)

    def run(self, kind: str, **more: Any) -> RunResult:
        """Return the run as a row: `kind` says of what, `more` are columns that only the caller knows."""
        n = self._course.n
        return RunResult(
            **self._where,
            kind=kind,
            rounds=n,
            value=float(self._utility.mean()),
            quality=float(self._quality.mean()),
            cost_usd=float(self._cost.mean()),
            regret_fixed=float(self._regret.mean()),
            regret_oracle=float(self._regret_oracle.mean()),
            first_value=float(self._utility[: max(round(_FIRST * n), 1)].mean()),
            last_value=float(self._utility[-max(round(_LAST * n), 1) :].mean()),
            ies=self._ies(),
            shares=tuple(shares(self._choices, arms=len(self._course.arms), bins=1)[0].tolist()),
            **self._budget(),
            **more,
        )

    def bins(self, count: int, learned: Bools | None = None) -> Iterator[Bin]:
        """Yield `count` stretches of the run, equally long, give or take a round.

        Args:
            count: at most n.
            learned: (n,) rounds whose reward was learned; None: nobody learned anything.
        """
        edges = np.array([len(part) for part in np.array_split(np.arange(self._course.n), count)]).cumsum().tolist()
        regret = self._regret.cumsum()
        by_arm = shares(self._choices, arms=len(self._course.arms), bins=count)
        for number, (start, end) in enumerate(zip([0, *edges], edges, strict=False)):
            yield Bin(
                **self._where,
                round=end,
                value=float(self._utility[start:end].mean()),
                regret=float(regret[end - 1]),
                cost_usd=float(self._cost[start:end].mean()),
                shares=tuple(by_arm[number].tolist()),
                feedback=0 if learned is None else int(learned[start:end].sum()),
            )

    def _budget(self) -> dict[str, Any]:
        """Return the ceiling, and how it was kept unless the run is over before a pacer has settled."""
        ceiling = self._course.budget_usd
        if ceiling is None:
            return {}
        if self._course.n <= SETTLING:
            return {"budget_usd": ceiling}
        return {"budget_usd": ceiling, "budget_ratio": budget_compliance(self._cost, ceiling).worst}

    def _seconds(self) -> Floats:
        """Return how long each answer took, (n,), after all that were asked before it."""
        if self._asked is None:
            return taken(self._course.latency_s, self._choices)
        seconds: Floats = np.where(self._asked, self._course.latency_s, 0.0).sum(axis=1)
        return seconds

    def _ies(self) -> float:
        """Return the mean Inference Efficiency Score, NaN where a call is free or has no price.

        It counts quality alone unless the latency of every arm is known: scores with and without are not comparable.
        NaN also for probabilities, of which it is no expectation.
        """
        if self._choices.ndim == 2:
            return float("nan")
        known = bool(np.isfinite(self._course.latency_s[self._course.available]).all())
        latency_s = self._seconds() if known else None
        return float(inference_efficiencies(self._quality, latency_s, self._cost, alpha=0.5 if known else 1.0).mean())
