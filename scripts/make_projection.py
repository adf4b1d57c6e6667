"""Fits the projection of an engine's embeddings, and clusters of prompts, on the prompts of routing tables.

    python scripts/make_projection.py --engine static TABLE.parquet ...  # -> projection_static.npz
    python scripts/make_projection.py --engine onnx TABLE.parquet ...    # -> projection_minilm.npz
    python scripts/make_projection.py --engine transformers --model ID --out FILE.npz TABLE.parquet ...

A table has a column `prompt`; needs pyarrow. Prompts are taken once each, the same number from every table. The axes
are the principal ones; axis i, of standard deviation s_i, is divided by s_i ** `--whitening` (0: as it is, 1: white).
Then all are scaled alike, so that the projected part has the mean squared norm `--norm` ** 2. Both matter to a policy
with a fixed prior: docs/explanation/encoder.md has the figures that chose them.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from highwayman.env.encoder.encoder import MAX_CHARS
from highwayman.env.encoder.engine import Engine, make_engine
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.features.features import numeric_features, utf8_sample
from highwayman.env.types import Floats, Query


def main() -> None:
    """Write the projection."""
    options = _options()
    texts = balanced([prompts(path) for path in options.tables], options.prompts, seed=options.seed)
    model = {"model": options.model} if options.model else {}
    embeddings = embedded(make_engine(options.engine, **model), texts)
    mean, components, kept = principal(embeddings, options.p, options.whitening, options.norm)
    out = options.out or ASSETS / f"projection_{'static' if options.engine == 'static' else 'minilm'}.npz"
    numbers = np.array([numeric_features(Query(text=text, prompt_chars=len(text))) for text in texts])
    centres = k_means(np.hstack([embeddings, numbers]), options.clusters, np.random.default_rng(options.seed))
    made = {"mean": mean, "components": components}
    made |= {"centres_text": centres[:, : len(mean)], "centres_numbers": centres[:, len(mean) :]}
    np.savez(out, **{name: values.astype(np.float32) for name, values in made.items()})
    print(
        f"{len(texts)} prompts of {len(options.tables)} tables: {options.p} of {len(mean)} dimensions keep "
        f"{kept:.1%} of the variance, {len(centres)} clusters -> {out}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--engine", default="static")
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--p", type=int, default=16)
    parser.add_argument("--whitening", type=float, default=0.0)
    parser.add_argument("--norm", type=float, default=0.25)
    parser.add_argument("--clusters", type=int, default=30)
    parser.add_argument("--prompts", type=int, default=1_700, help="of each table, at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.model and not options.out:
        parser.error("--model needs --out: the shipped projection is MiniLM's")
    return options


def prompts(path: Path) -> list[str]:
    """Return the distinct prompts of a table, sorted."""
    return sorted(set(pq.read_table(path, columns=["prompt"])["prompt"].to_pylist()))


def balanced(tables: list[list[str]], most: int, *, seed: int) -> list[str]:
    """Return the same number of prompts from every table (all of a smaller one), none twice."""
    rng = np.random.default_rng(seed)
    chosen = [table[place] for table in tables for place in rng.permutation(len(table))[:most]]
    return list(dict.fromkeys(chosen))


def embedded(engine: Engine, texts: list[str], *, batch: int = 32) -> Floats:
    """Return the embeddings of the texts, cut as the encoder cuts them, shape (n, w); progress on one line."""
    parts = []
    for start in range(0, len(texts), batch):
        parts.append(engine.embed([utf8_sample(text, MAX_CHARS) for text in texts[start : start + batch]]))
        print(f"\r{min(start + batch, len(texts))} of {len(texts)} prompts", end="", flush=True)
    print()
    return np.concatenate(parts)


def principal(embeddings: Floats, p: int, whitening: float, norm: float) -> tuple[Floats, Floats, float]:
    """Return the mean (w,), the scaled principal axes (w, p), and the share of the variance they keep."""
    mean = embeddings.mean(axis=0)
    centred = embeddings - mean
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    deviations = singular / np.sqrt(len(embeddings))
    axes = axes[:p].T
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(p)])  # a sign that no library version changes
    components = axes / deviations[:p] ** whitening
    components *= norm / np.sqrt(((centred @ components) ** 2).sum(axis=1).mean())
    return mean, components, float((deviations[:p] ** 2).sum() / (deviations**2).sum())


def k_means(points: Floats, m: int, rng: np.random.Generator, *, starts: int = 4, rounds: int = 30) -> Floats:
    """Return the centres (m, w) of points (n, w) by Lloyd's algorithm (1957), the best of several starts."""
    found = [_lloyd(points, points[rng.choice(len(points), m, replace=False)], rounds) for _ in range(starts)]
    return min(found, key=lambda centres: float(_squares(points, centres).min(axis=1).sum()))


def _lloyd(points: Floats, centres: Floats, rounds: int) -> Floats:
    for _ in range(rounds):
        nearest = _squares(points, centres).argmin(axis=1)
        centres = np.array(
            [points[nearest == k].mean(axis=0) if (nearest == k).any() else one for k, one in enumerate(centres)]
        )
    return centres


def _squares(points: Floats, centres: Floats) -> Floats:
    """Return squared distances, (n, m)."""
    found: Floats = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    return found


if __name__ == "__main__":
    main()
