"""One run of a sweep: a policy, or all the baselines, on one scenario."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.env.types import Floats
from highwayman.sims.baselines.static_mixture import StaticMixture
from highwayman.sims.logs.logged import Bools, Indices
from highwayman.sims.measures.exploration import exploration_usd
from highwayman.sims.measures.value import Choices, best_fixed, taken
from highwayman.sims.simulation.accounts.prompt_caches import cached_amounts
from highwayman.sims.simulation.cascade_spec import cascade_rules, check_told, with_cascade
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.world_spec import parse_world
from highwayman.sims.sweeps.dial import DialSetting
from highwayman.sims.sweeps.measured import Measured
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared, fixed_penalties, label
from highwayman.sims.sweeps.results import BASELINE, BEST_FIXED, ORACLE, POLICY, Bin, RunResult

EDGES = tuple(float(edge) for edge in np.geomspace(1e-3, 1e3, 49))  # of importance ratios
_STATIC_MIXTURE = label("static_mixture")


@dataclass(frozen=True, slots=True)
class SweepTrial:
    """What to run: `policy` as text, None for the baselines."""

    table: str
    world: str
    policy: str | None
    seed: int
    setting: DialSetting
    plan: Plan
    cascade: str | None = None  # the gate of a cascade, as `cascade_rules` reads it

    @property
    def name(self) -> str:
        """What the run of a policy is called."""
        return with_cascade(self.policy or "", self.cascade)

    @property
    def cascade_rules(self) -> CascadeRules | None:
        """What its cascades may do, None without them."""
        return None if self.cascade is None else cascade_rules(self.cascade, self.plan.router.cascade)

    def router(self) -> SimulatedRouter:
        """Return a new router as the plan has it."""
        return SimulatedRouter(
            self.setting.objective,
            self.plan.router.rules(self.plan.floor, self.plan.floor_loss),
            self.plan.router.probation,
            cascade=self.cascade_rules,
        )


@dataclass(frozen=True, slots=True)
class LogQuality:
    """How well a run's log can judge a policy that takes every arm alike."""

    counts: tuple[int, ...]  # rounds by importance ratio, between EDGES; what lies beyond them counts at their ends
    ratio: float  # sum
    ratio_squared: float  # sum of squares


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial came to."""

    runs: tuple[RunResult, ...]  # the policy's, or one of each baseline
    curves: tuple[Bin, ...]
    log: LogQuality | None = None  # of a policy


def run_trial(trial: SweepTrial, prepared: Prepared) -> TrialResult:
    """Return what the trial comes to: a function of the two, whoever computes it.

    Raises:
        WorldError: the world does not fit the table.
    """
    scenario = draw_scenario(prepared.table, parse_world(trial.world), rounds=trial.plan.rounds, seed=trial.seed)
    utility = scenario.quality - scenario.penalties(trial.setting.objective)  # (n, K)
    if trial.policy is None:
        return _baselines(trial, prepared, scenario, utility)
    return _policy(trial, prepared, scenario, utility, spec=trial.policy)


def _policy(trial: SweepTrial, prepared: Prepared, scenario: Scenario, utility: Floats, *, spec: str) -> TrialResult:
    path, options = parse_policy(spec)
    if trial.cascade_rules is not None:
        check_told(trial.cascade_rules, scenario, trial.world)
    policy = load_policy(path, d=prepared.features.shape[1], fingerprint=prepared.fingerprint, options=options)
    simulated = simulate(
        policy,
        scenario,
        prepared.contexts(),
        router=trial.router(),
        rng=generator(trial.seed, "draws"),
        frozen_for=trial.plan.frozen_for,
    )
    served = simulated.actions if simulated.served is None else simulated.served
    if simulated.served is None:
        measured = _measured(trial, scenario, utility, simulated.actions, name=trial.name)
    else:
        measured = Measured(scenario, utility, simulated.actions, where=_where(trial, trial.name), cascades=simulated)
    run = measured.run(POLICY, exploration_usd=exploration_usd(scenario.cost_usd, simulated.probs))
    learned = _learned(scenario, served, trial.plan.frozen_for)
    ratio = 1.0 / ((simulated.probs > 0).sum(axis=1) * simulated.propensities)
    return TrialResult((run,), tuple(measured.bins(trial.plan.bins, learned)), _log(ratio))


def _measured(trial: SweepTrial, scenario: Scenario, utility: Floats, choices: Choices, *, name: str) -> Measured:
    """Return what choices came to; with the caches that they left, where prompts are of conversations.

    Choices that are probabilities, as of baselines that draw, leave none: their calls cost the full price.
    """
    turns = scenario.conversations
    if turns is not None and choices.ndim == 1:
        saved, saved_usd = cached_amounts(scenario, turns, trial.setting.objective, choices.astype(np.intp))
        utility = utility + saved
        scenario = scenario.replace(cost_usd=scenario.cost_usd - saved_usd[:, None])
    return Measured(scenario, utility, choices, where=_where(trial, name))


def _where(trial: SweepTrial, name: str) -> dict[str, Any]:
    return {"table": trial.table, "world": trial.world, "policy": name, "seed": trial.seed}


def _learned(scenario: Scenario, actions: Indices, frozen_for: int) -> Bools:
    """Return in which rounds (n,) the reward was learned: there was feedback, and before the last update."""
    # Updates are before the rounds 0, frozen_for, 2 * frozen_for ...
    last_update = scenario.n - 1 - (scenario.n - 1) % frozen_for
    due = scenario.at + taken(scenario.delay_s, actions)
    learned: Bools = ~np.isnan(taken(scenario.feedback, actions)) & (due <= scenario.at[last_update])
    learned[last_update:] = False
    return learned


def _log(ratio: Floats) -> LogQuality:
    counts = np.histogram(np.clip(ratio, EDGES[0], EDGES[-1]), EDGES)[0]
    return LogQuality(tuple(counts.tolist()), float(ratio.sum()), float((ratio**2).sum()))


def _baselines(trial: SweepTrial, prepared: Prepared, scenario: Scenario, utility: Floats) -> TrialResult:
    penalties = fixed_penalties(prepared.table, trial.setting.objective)
    choices_by_name = _choices(prepared, scenario, utility, penalties)
    measured = [_measured(trial, scenario, utility, choices, name=name) for name, choices in choices_by_name]
    bins = trial.plan.bins
    return TrialResult(
        tuple(baseline.run(BASELINE) for baseline in measured),
        tuple(curve_bin for baseline in measured for curve_bin in baseline.bins(bins)),
    )


def _choices(
    prepared: Prepared, scenario: Scenario, utility: Floats, penalties: Floats
) -> Iterator[tuple[str, Choices]]:
    """Yield each baseline's name and choices on the scenario, actions where it does not draw.

    Best fixed and oracle know the scenario. The others know the table, as it was before any world: they choose for each
    prompt what they were fitted to choose, though prices and qualities may have changed since. The static mixture
    keeps the scenario's budget, if there is one.
    """
    fitted = dict(prepared.choices)
    if _STATIC_MIXTURE in fitted and scenario.budget_usd is not None:
        mixture = _within_budget(prepared, scenario.budget_usd, penalties)
        fitted[_STATIC_MIXTURE] = fitted[_STATIC_MIXTURE] if mixture is None else mixture
    yield BEST_FIXED, best_fixed(utility, scenario.available)
    yield ORACLE, _oracle(utility, scenario)
    for name, choices in fitted.items():
        if name not in (BEST_FIXED, ORACLE):
            probs = _among_available(choices[scenario.rows], scenario.available)
            yield name, probs.argmax(axis=1) if (probs.max(axis=1) == 1.0).all() else probs


def _oracle(utility: Floats, scenario: Scenario) -> Indices:
    """Return the best arm of each round, (n,), the cheaper of equally good ones: free quality is not to be paid for."""
    order = np.argsort(scenario.cost_usd.mean(axis=0), kind="stable")  # unknown costs come last
    best = np.where(scenario.available, utility, -np.inf)[:, order].argmax(axis=1)
    return np.asarray(order[best], dtype=np.intp)


def _within_budget(prepared: Prepared, budget_usd: float, penalties: Floats) -> Floats | None:
    """Return the best static mixture (n, K) that keeps the budget, the cheapest arm if none does; None: no prices.

    Without the ceiling, the mixture would spend what the policies may not, and be no rival of theirs.
    """
    costs = [cost for cost in prepared.table.mean_costs() if cost is not None]
    if not costs:
        return None
    mixture = StaticMixture(budget_usd=max(budget_usd, min(costs))).mixture(prepared.table, penalties)
    return np.tile(mixture, (prepared.table.n, 1))


def _among_available(choices: Floats, available: Bools) -> Floats:
    """Return the choices (n, K) among the arms that are there; where none of them is, all that are there alike."""
    among = np.where(available, choices, 0.0)
    among = np.where(among.sum(axis=1, keepdims=True) > 0, among, available)
    return np.asarray(among / among.sum(axis=1, keepdims=True))
