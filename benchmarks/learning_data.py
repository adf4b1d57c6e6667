"""What the learning benchmark runs on: encoders that have not seen a table, and a stream of specialists."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from highwayman.env.encoder.encoder import MAX_CHARS, Encoder, make_encoder
from highwayman.env.encoder.engine import make_engine
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.features import numeric_features, utf8_sample
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.types import Query
from highwayman.sims.tables.table import FullTable
from scripts.make_projection import balanced, k_means, principal

PROMPTS = 1_700  # of each table, at most, as in the shipped projection
AXES, CLUSTERS, NORM = 16, 30, 0.25


def held_out(tables: Sequence[FullTable], place: int) -> Encoder:
    """Return the static encoder with projection and clusters fitted on the prompts of all tables but one.

    Raises SystemExit where there is no other.
    """
    if len(tables) < 2:
        raise SystemExit(
            "features of a table are fitted on the prompts of the others: give two tables or more, or --shipped"
        )
    others = [sorted(set(table.prompts)) for number, table in enumerate(tables) if number != place]
    texts = balanced(others, PROMPTS, seed=0)
    engine = make_engine("static")
    embeddings = engine.embed([utf8_sample(text, MAX_CHARS) for text in texts])
    numbers = np.array([numeric_features(Query(text=text, prompt_chars=len(text))) for text in texts])
    mean, components, _ = principal(embeddings, AXES, 0.0, NORM)
    centres = k_means(np.hstack([embeddings, numbers]), CLUSTERS, np.random.default_rng(0))
    width = engine.width
    clusters = Clusters.from_centres(centres[:, :width], centres[:, width:])
    return Encoder(engine, Projection.from_arrays(mean, components, name="held-out"), clusters=clusters)


def shipped() -> Encoder:
    """Return the static encoder as it is shipped."""
    return make_encoder("static", projection=ASSETS / "projection_static.npz")


def specialists(tables: Sequence[FullTable], *, kinds: int = 8, prompts: int = 500) -> FullTable:
    """Return one table of several kinds of query, and an arm for each kind.

    Kinds are the largest tasks of all tables; tasks whose names begin alike (gsm, gsm8k) are one, and taken from the
    table that has most of it. The arm of a kind answers its own queries like that table's best arm at the task, and all
    others like their table's middle arm at theirs. All arms cost alike.
    """
    rng, taken = np.random.default_rng(0), _kinds(tables)[:kinds]
    texts, names, qualities = [], [], []
    for number, (table, task) in enumerate(taken):
        rows = rng.permutation([row for row, one in enumerate(table.tasks) if one == task])[:prompts]
        quality = table.quality[rows]
        order = np.argsort(quality.mean(axis=0))
        answers = np.repeat(quality[:, [order[(len(order) - 1) // 2]]], len(taken), axis=1)
        answers[:, number] = quality[:, order[-1]]
        texts += [table.prompts[row] for row in rows]
        names += [task] * len(rows)
        qualities.append(answers)
    arms = [f"good at {task}" for _, task in taken]
    return FullTable.from_arrays(arms, np.concatenate(qualities), prompts=texts, tasks=names)


def _kinds(tables: Sequence[FullTable]) -> list[tuple[FullTable, str]]:
    """Return tables and their tasks, the largest first, none whose name begins like that of a larger one."""
    sizes = [(size, number, task) for number, table in enumerate(tables) for task, size in Counter(table.tasks).items()]
    found: dict[str, tuple[FullTable, str]] = {}
    for _, number, task in sorted(sizes, key=lambda one: (-one[0], one[1], one[2])):
        found.setdefault(task[:3].lower(), (tables[number], task))
    return list(found.values())
