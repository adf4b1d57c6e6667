"""How soon policies follow what nobody announces, or only the price list does.

    python -m benchmarks.drift TABLE... [--seeds 20] [--policy NAME[:option=value,...]]...

Eight arms spread over the range of mean quality, 10,000 rounds, exploration floor 0.02, shipped features. Half way the
best arm's quality is halved: what policies earn in the 300 rounds from the 601st after the drop, as a share of the arm
that is best by then, and how often an arm was taken for changed, rightly and wrongly. On tables with prices, once more:
half way the dearest arm costs a tenth, at cost weight 0.5: value from the 101st round after it as a share of the best
fixed arm's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from highwayman.bandit.change_detector import ChangeDetector
from highwayman.bandit.policy import Policy, load_policy, parse_policy
from highwayman.bandit.watch import Watch, Watched
from highwayman.env.encoder import make_encoder
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.course import Course
from highwayman.sims.simulation import draw_course, generator, simulate
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table
from highwayman.sims.world_spec import parse_world

ROUNDS, WINDOW = 10_000, 300
POLICIES = ("watched HierTS", "HierTS", "HierTS:half_life_events=2000", "watched LinTS", "LinTS")
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
        contexts = encoder.contexts_of([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
        for world, weight, after in (
            ("QualityDrop:arm=best,factor=0.5", 0.0, 600),
            ("PriceChange:arm=dearest,factor=0.1", 0.5, 100),
        ):
            if weight and any(cost is None for cost in table.mean_costs()):
                continue
            print(f"{path.stem}, {world}, cost weight {weight:g}, {options.seeds} seeds", flush=True)
            for spec in options.policies or POLICIES:
                _report(spec, table, contexts, world=world, weight=weight, after=after, seeds=range(options.seeds))
    encoder.close()


def _report(
    spec: str, table: FullTable, contexts: Sequence[Context], *, world: str, weight: float, after: int, seeds: range
) -> None:
    """Print one policy's line."""
    shares, right, wrong = [], 0, 0
    for seed in seeds:
        course = draw_course(table, parse_world(world), rounds=ROUNDS, seed=seed)
        policy = _made(spec, contexts[0])
        run = simulate(policy, course, contexts, cost_weight=weight, floor=0.02, rng=generator(seed, "draws"))
        shares.append(_share(run.utility(course), run.utilities(course), after))
        for arm, at in _noticed(policy):
            if at >= course.at[ROUNDS // 2] and course.arms.index(arm) == _changed(course):
                right += 1
            else:
                wrong += 1
    mean, spread, n = np.mean(shares), np.std(shares), len(seeds)
    print(f"  {spec:52} {mean:.3f} ± {spread:.3f}   noticed {right / n:.2f} a run, wrongly {wrong / n:.2f}", flush=True)


def _share(utility: Floats, utilities: Floats, after: int) -> float:
    """Return what was earned from so many rounds after the change on, as a share of the best fixed arm's then."""
    start = ROUNDS // 2 + after
    best = utilities[ROUNDS // 2 :].mean(axis=0).argmax()
    window = slice(start, start + WINDOW)
    return float(utility[window].mean() / utilities[window, best].mean())


def _changed(course: Course) -> int:
    """Return which arm's quality changed half way."""
    half = ROUNDS // 2
    return int((course.quality[:half].mean(axis=0) - course.quality[half:].mean(axis=0)).argmax())


def _made(spec: str, like: Context) -> Policy:
    """Return the policy that `spec` names, watched if it says so."""
    path, options = parse_policy(spec.removeprefix(WATCHED))
    policy = load_policy(path, d=len(like.features), fingerprint=like.fingerprint, options=options)
    if not spec.startswith(WATCHED):
        return policy
    return Watched(policy, Watch(ChangeDetector(FALSE_ALARM_EVERY)), fingerprint=like.fingerprint)


def _noticed(policy: Policy) -> list[tuple[str, float]]:
    return [(change.arm, change.at) for change in policy.changes] if isinstance(policy, Watched) else []


if __name__ == "__main__":
    main()
