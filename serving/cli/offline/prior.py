"""`highwayman prior`: what a new router knows before its first answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from highwayman.bandit.regression.prior import Prior
from highwayman.env.atomic_write import atomic_writer
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.errors import ConfigError
from highwayman.env.types import Query
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.logs.logged_file import LogFile
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import read_table


@click.group()
def prior() -> None:
    """Make what a router knows of its arms before their first answer."""


@prior.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="A table: every arm's quality on every prompt (docs/reference/tables.md).",
)
@click.option("--log", type=click.Path(path_type=Path, exists=True), help="Or a bandit log in Parquet.")
@click.option(
    "--arm",
    "renamed",
    multiple=True,
    metavar="ARM=MODEL",
    help="The pool's arm that a model of the table is; all under their own names if none is given.",
)
@click.option(
    "--weight",
    type=click.FloatRange(min=0, min_open=True),
    default=50.0,
    show_default=True,
    help="How many answers it is worth, per arm.",
)
@click.option("--encoder", default="static", show_default=True, help="As the router's.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
def fit(
    data: Path | None, log: Path | None, *, renamed: Sequence[str], weight: float, encoder: str, out: Path
) -> None:  # fmt: skip
    """Fit a prior on a full table or a bandit log.

    Name the file as policy.prior in highwayman.yaml. It counts like answers that were given before the log began, so
    feedback in production soon outweighs it, and a stale prior does no lasting harm.
    """
    if (data is None) == (log is None):
        raise ConfigError("give either --data TABLE or --log LOG.parquet")
    names = _names(renamed)
    fitted_prior = _of_table(data, names, weight, encoder) if data is not None else _of_log(LogFile(log), names, weight)  # type: ignore[arg-type]
    with atomic_writer(out) as file:
        file.write(fitted_prior.to_bytes())
    answer_counts = "; ".join(
        f"{arm} {float(fitted_prior.sums.sums[row, 0]):g}" for row, arm in enumerate(fitted_prior.sums.arms)
    )
    Console().print(
        f"{out}: prior {fitted_prior.digest} on features of {fitted_prior.fingerprint}; "
        f"answers it is worth: {answer_counts}"
    )


def _names(renamed: Sequence[str]) -> dict[str, str]:
    """Return the model of each arm. Raises ConfigError for what is no ARM=MODEL, or an arm given twice."""
    models: dict[str, str] = {}
    for pair in renamed:
        arm, equals, model = pair.partition("=")
        if not (equals and arm and model) or arm in models:
            raise ConfigError(f"--arm {pair!r}: give ARM=MODEL, each arm once")
        models[arm] = model
    return models


def _chosen(names: Mapping[str, str], models: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the arms and their models' places. Raises ConfigError for a model that is not there."""
    names = names or {model: model for model in models}
    for arm, model in names.items():
        if model not in models:
            raise ConfigError(f"--arm {arm}={model}: there is no model {model!r}; there are {', '.join(models)}")
    return list(names), [models.index(model) for model in names.values()]


def _of_table(path: Path, names: Mapping[str, str], weight: float, engine: str) -> Prior:
    table: FullTable = read_table(path)
    arms, places = _chosen(names, table.arms)
    encoder = make_encoder(engine)
    try:
        contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    finally:
        encoder.close()
    features = np.array([context.features for context in contexts])
    return Prior.fit(features, table.quality[:, places], arms=arms, weight=weight, fingerprint=encoder.fingerprint)


def _of_log(file: LogFile, names: Mapping[str, str], weight: float) -> Prior:
    parts: list[LoggedData] = list(file.chunks())
    if not parts:
        raise ConfigError("the log holds no round")
    arms, places = _chosen(names, parts[0].arms)
    rewards = [np.full((part.n, len(part.arms)), np.nan) for part in parts]
    for part, part_rewards in zip(parts, rewards, strict=True):
        part_rewards[np.arange(part.n), part.actions] = part.rewards
    features = np.concatenate([part.contexts for part in parts])
    return Prior.fit(
        features,
        np.concatenate(rewards)[:, places],
        arms=arms,
        weight=weight,
        fingerprint=parts[0].encoder,
        counts=np.concatenate([part.learning_weights() for part in parts]),
    )
