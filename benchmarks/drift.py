"""How soon policies follow what nobody announces, or only the price list does.

    python -m benchmarks.drift TABLE... [--seeds 20] [--policy NAME[:option=value,...]]...

Eight arms spread over the range of mean quality, 10,000 rounds, exploration floor 0.02, shipped features. Half way the
best arm's quality is halved: what policies earn in the 300 rounds from the 601st after the drop, as a share of the arm
that is best by then, mean and deviation over seeds; and how often an arm was taken for changed, rightly (after how many
of its answers, the median and the most) and wrongly. On
tables with prices, once more, at cost weight 0.15: half way the arm that gains most by it costs a tenth, and is the
best one from then on; value from the 101st round after that as a share of the best fixed arm's. `followed after`:
rounds until the changed arm's share of the traffic, over 20 rounds, is nearer to what it is in that window than to what
it was in the 300 rounds before the change; the median and the largest over the seeds in which the two differ by more
than a tenth.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.drift.change_detector import ArmChange, ChangeDetector
from highwayman.bandit.drift.change_monitor import ChangeMonitor, discount_share
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.policy import Policy, SupportsDiscount
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query, RewardChange
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.world_spec import parse_world
from highwayman.sims.sweeps.dial import table_spread
from highwayman.sims.sweeps.prepared import fixed_penalties
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table

ROUNDS, WINDOW = 10_000, 300
COST_WEIGHT = 0.15
POLICIES = ("watched HierTS", "HierTS", "HierTS:half_life_events=2000", "watched LinTS", "LinTS",
            "LinUCB", "LinUCB:half_life_events=2000")  # fmt: skip
WATCHED = "watched "
FALSE_ALARM_EVERY = 100_000.0  # as in production


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--policy", action="append", dest="policies")
    options = parser.parse_args()
    encoder = make_encoder("static")
    for path in options.tables:
        table = read_table(path).spread(8)
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        worlds = [("QualityDrop:arm=best,factor=0.5", 0.0, 600)]
        if (cheaper := _gains_most(table)) is not None:
            worlds.append((f"PriceChange:arm={cheaper},factor=0.1", COST_WEIGHT, 100))
        for world, weight, after in worlds:
            print(f"{path.stem}, {world}, cost weight {weight:g}, {options.seeds} seeds", flush=True)
            for spec in options.policies or POLICIES:
                _report(spec, table, contexts, world=world, weight=weight, after=after, seeds=range(options.seeds))
    encoder.close()


def _gains_most(table: FullTable) -> str | None:
    """Return the arm that a tenth of its price makes the best one, by the most; None if that does so for none."""
    known = [cost for cost in table.mean_costs() if cost is not None]
    if len(known) < len(table.arms):
        return None
    penalties = fixed_penalties(table, Objective("auto", table_spread(table).points_per_usd(COST_WEIGHT)))
    utility = np.nanmean(table.quality, axis=0) - penalties
    gains = utility + 0.9 * penalties - utility.max()  # of each arm, over the best one now, once it costs a tenth
    gains[utility.argmax()] = 0.0
    return table.arms[int(gains.argmax())] if gains.max() > 0.01 else None


def _report(
    spec: str, table: FullTable, contexts: Sequence[Context], *, world: str, weight: float, after: int, seeds: range
) -> None:
    """Print one policy's line."""
    shares, followed, delays, wrong = [], [], [], 0
    for seed in seeds:
        scenario = draw_scenario(table, parse_world(world), rounds=ROUNDS, seed=seed)
        policy = _made(spec, contexts[0])
        router = SimulatedRouter(Objective("auto", table_spread(table).points_per_usd(weight)), ExplorationRules(0.02))
        run = simulate(
            policy,
            scenario,
            contexts,
            router=router,
            rng=generator(seed, "draws"),
        )
        shares.append(_share(run.utility(scenario), run.utilities(scenario), after))
        changed = _changed(scenario)
        followed += _followed(run.probs[:, changed], after)
        for arm, at in _noticed(policy):
            if at >= scenario.at[ROUNDS // 2] and scenario.arms.index(arm) == changed:
                until = int(np.searchsorted(scenario.at, at))
                delays.append(int((run.actions[ROUNDS // 2 : until + 1] == changed).sum()))
            else:
                wrong += 1
    mean, spread, n = np.mean(shares), np.std(shares), len(seeds)
    soon = f"{np.median(followed):.0f} (at most {max(followed)}; {len(followed)} of {n})" if followed else "none"
    late = f" after {np.median(delays):.0f} (at most {max(delays)})" if delays else ""
    print(f"  {spec:30} {mean:.3f} ± {spread:.3f}   followed after {soon:29}"
          f"noticed {len(delays) / n:.2f} a run{late}, wrongly {wrong / n:.2f}", flush=True)  # fmt: skip


def _share(utility: Floats, utilities: Floats, after: int) -> float:
    """Return what was earned from so many rounds after the change on, as a share of the best fixed arm's then."""
    start = ROUNDS // 2 + after
    best = utilities[ROUNDS // 2 :].mean(axis=0).argmax()
    window = slice(start, start + WINDOW)
    return float(utility[window].mean() / utilities[window, best].mean())


def _followed(share: Floats, after: int) -> list[int]:
    """Return, of an arm with these probabilities (n,), after how many rounds its traffic is that of the window.

    Nothing where that is much as it was before.
    """
    half = ROUNDS // 2
    before, later = share[half - WINDOW : half].mean(), share[half + after : half + after + WINDOW].mean()
    if abs(later - before) < 0.1:
        return []
    smooth = np.convolve(share[half:], np.full(20, 0.05), mode="valid")
    return [int(np.argmax(np.abs(smooth - later) < np.abs(smooth - before)))]


def _changed(scenario: Scenario) -> int:
    """Return which arm's quality or price changed half way."""
    half = ROUNDS // 2
    for column in (scenario.price_usd, scenario.quality):
        before, later = column[:half].mean(axis=0), column[half:].mean(axis=0)
        if (later < before / 1.5).any():
            return int((later / np.maximum(before, 1e-12)).argmin())
    raise ValueError("no arm's quality or price fell half way")


def _made(spec: str, like: Context) -> Policy:
    """Return the policy that `spec` names, watched if it says so."""
    path, options = parse_policy(spec.removeprefix(WATCHED))
    policy = load_policy(path, d=len(like.features), fingerprint=like.fingerprint, options=options)
    if not spec.startswith(WATCHED):
        return policy
    return MonitoredPolicy(policy, ChangeMonitor(ChangeDetector(FALSE_ALARM_EVERY)), fingerprint=like.fingerprint)


def _noticed(policy: Policy) -> list[tuple[str, float]]:
    return [(change.arm, change.at) for change in policy.changes] if isinstance(policy, MonitoredPolicy) else []


class MonitoredPolicy:
    """A policy that is watched, and discounts at once what it knew of an arm that has changed.

    In production the change is put on the log, and the discount is one of its events.
    """

    def __init__(self, policy: Policy, watch: ChangeMonitor, *, fingerprint: str) -> None:
        """Take the policy, its monitor, and the fingerprint of the features."""
        self._policy, self._watch, self._fingerprint = policy, watch, fingerprint
        self.changes: list[ArmChange] = []

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the policy's probabilities, shape (K,)."""
        return self._policy.probs(context, arms, penalties)

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Teach the policy, and discount arms that are found to have changed."""
        for change in changes:
            for arm_change in self._watch.learn(self._policy, [change], fingerprint=self._fingerprint):
                self.changes.append(arm_change)
                if isinstance(self._policy, SupportsDiscount):
                    self._policy.discount(arm_change.arm, share=discount_share(self._policy, arm_change.arm))
                self._watch.resume(arm_change.arm)

    def add_arm(self, name: str) -> None:
        """Add the arm to the policy."""
        self._policy.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Drop the arm from the policy."""
        self._policy.drop_arm(name)

    def state(self) -> bytes:
        """Return the policy's state."""
        return self._policy.state()

    def restore(self, state: bytes) -> None:
        """Restore the policy's state. Raises SnapshotError."""
        self._policy.restore(state)


if __name__ == "__main__":
    main()
