"""What the features are worth: python -m benchmarks.encoder_quality TABLE.parquet ... [--engines static onnx]

Tables are full-information: columns prompt, model, quality (needs pyarrow). For each table the projection is fitted on
the prompts of the others, so that no table is scored on axes made for it. Printed per kind of features, as means over
the tables: the quality reached and the R2 of a five-fold ridge on them, and the quality of linear Thompson sampling
(one ridge of precision 1 per arm, posterior scaled by 0.1) over the first rounds, for several norms of the text part.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from highwayman.env.encoder.encoder import MAX_CHARS
from highwayman.env.encoder.engine import make_engine
from highwayman.env.encoder.features.features import numeric_features, utf8_sample
from highwayman.env.types import Floats, Query
from scripts.make_projection import principal

P = 32
ROUNDS = 1_700
ARMS = 9  # of a table with more, every third from the best


class Table(NamedTuple):
    """n prompts and the quality of K models on each."""

    prompts: list[str]
    quality: Floats  # (n, K)
    numbers: Floats  # (n, m)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--engines", nargs="*", default=["static"])
    parser.add_argument("--prompts", type=int, default=2_000, help="of each table, at most")
    options = parser.parse_args()
    tables = [loaded(path, options.prompts) for path in options.tables]
    print(f"{'features':<28}{'ridge quality':>14}{'ridge R2':>10}{'sampling':>10}")
    print(f"{'best fixed arm':<28}{np.mean([table.quality.mean(axis=0).max() for table in tables]):>14.4f}")
    report("numbers", tables, [np.zeros((len(table.prompts), 0)) for table in tables])
    for name in options.engines:
        engine = make_engine(name)
        rows = [np.concatenate([engine.embed([text]) for text in table.prompts]) for table in tables]
        for norm in (0.125, 0.25, 0.5, 1.0):
            texts = [others_axes(rows, place, norm) for place in range(len(rows))]
            report(f"{name} {norm} and numbers", tables, texts)


def loaded(path: Path, most: int) -> Table:
    """Return a sample of the prompts that every model of the table answered."""
    columns = pq.read_table(path, columns=["prompt", "model", "quality"]).to_pydict()
    cells = {(p, m): q for p, m, q in zip(columns["prompt"], columns["model"], columns["quality"], strict=True)}
    models = sorted(set(columns["model"]))
    whole = [prompt for prompt in sorted(set(columns["prompt"])) if all((prompt, model) in cells for model in models)]
    chosen = [whole[place] for place in np.random.default_rng(0).permutation(len(whole))[:most]]
    quality = np.array([[cells[prompt, model] for model in models] for prompt in chosen], dtype=np.float64)
    if len(models) > ARMS:
        quality = quality[:, np.argsort(-quality.mean(axis=0))[::3]]
    numbers = np.stack([numeric_features(Query(prompt, len(prompt))) for prompt in chosen])
    return Table([utf8_sample(prompt, MAX_CHARS) for prompt in chosen], quality, numbers)


def others_axes(rows: list[Floats], place: int, norm: float) -> Floats:
    """Return one table's embeddings, projected on axes fitted to the other tables."""
    mean, components, _ = principal(np.concatenate(rows[:place] + rows[place + 1 :]), P, 0.0, norm)
    return (rows[place] - mean) @ components


def report(name: str, tables: list[Table], texts: list[Floats]) -> None:
    """Print one line of figures."""
    figures = []
    for table, text in zip(tables, texts, strict=True):
        features = np.concatenate([text, table.numbers, np.ones((len(text), 1))], axis=1)
        figures.append([*ridge(features, table.quality), sampling(features, table.quality)])
    quality, explained, sampled = np.mean(figures, axis=0)
    print(f"{name:<28}{quality:>14.4f}{explained:>10.4f}{sampled:>10.4f}", flush=True)


def ridge(features: Floats, quality: Floats, *, folds: int = 5) -> tuple[float, float]:
    """Return the mean quality of the arm predicted best, and the R2 of the predictions, both out of fold."""
    fold = np.random.default_rng(0).integers(0, folds, len(features))
    predicted = np.empty_like(quality)
    for held in range(folds):
        train, test = features[fold != held], fold == held
        target = quality[fold != held]
        gram = train.T @ train + np.eye(train.shape[1])
        predicted[test] = features[test] @ np.linalg.solve(gram, train.T @ (target - target.mean(0))) + target.mean(0)
    reached = quality[np.arange(len(quality)), predicted.argmax(axis=1)].mean()
    return float(reached), float(1 - ((predicted - quality) ** 2).sum() / ((quality - quality.mean(0)) ** 2).sum())


def sampling(features: Floats, quality: Floats, *, seeds: int = 4, scale: float = 0.1) -> float:
    """Return the mean quality over the first rounds of linear Thompson sampling (Agrawal & Goyal, 2013)."""
    reached = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        arms, d = quality.shape[1], features.shape[1]
        inverse, b = np.tile(np.eye(d), (arms, 1, 1)), np.zeros((arms, d))
        for place in rng.permutation(len(features))[:ROUNDS]:
            x = features[place]
            spread = inverse @ x  # (K, d)
            draws = (spread * b).sum(axis=1) + scale * np.sqrt(spread @ x) * rng.standard_normal(arms)
            arm = int(draws.argmax())
            b[arm] += x * (quality[place, arm] - 0.7)
            inverse[arm] -= np.outer(spread[arm], spread[arm]) / (1 + spread[arm] @ x)
            reached.append(quality[place, arm])
    return float(np.mean(reached))


if __name__ == "__main__":
    main()
