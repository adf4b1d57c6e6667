"""What `replay` and `evaluate` share: which policies to evaluate, and how to estimate."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.policy import Policy
from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config
from highwayman.sims.ope.method_spec import load_estimator, load_interval
from highwayman.sims.replay.comparison import EstimationMethod

policies_option = click.option(
    "--policy", "policies", multiple=True, help="NAME[:option=value,...] or module:Class[:...]; several are all asked."
)
floor_option = click.option(
    "--floor", type=click.FloatRange(0, 1), help="Exploration floor of those asked, spread evenly; else a router's."
)
report_option = click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="An HTML file to write.")
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


def method_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `EstimationMethod`."""
    for option in (
        click.option("--anytime", is_flag=True,
                     help="IPS with a confidence sequence: holds however often one looks, while the log grows."),
        click.option("--reward", type=click.Choice(["utility", "quality"]), default="utility", show_default=True,
                     help="What decides: quality minus penalty, or quality alone."),
        click.option("--interval", default="Normal", show_default=True,
                     help="Normal, ClusteredBootstrap, EmpiricalBernstein, ConfidenceSequence or module:Class."),
        click.option("--estimator", default="SNIPS", show_default=True,
                     help="SNIPS, DoublyRobust, IPS, ClippedIPS:cap=10, SwitchDR, DROS, DirectMethod or module:Class."),
    ):  # fmt: skip
        command = option(command)
    return command


def build_method(*, estimator: str, interval: str, reward: Any, anytime: bool) -> EstimationMethod:
    """Return the method that the options name."""
    if anytime:
        if (estimator, interval) != ("SNIPS", "Normal"):
            raise ConfigError("--anytime is IPS with ConfidenceSequence: leave --estimator and --interval away")
        estimator, interval = "IPS", "ConfidenceSequence"
    return EstimationMethod(load_estimator(estimator), load_interval(interval), reward)


def policy_factories(specs: Sequence[str], config: Config) -> tuple[list[str], list[Callable[[int, str], Policy]]]:
    """Return names and factories of the policies to evaluate: those given, else the one configured."""
    for spec in specs:
        if list(specs).count(spec) > 1:
            raise ConfigError(f"policy {spec!r} is given twice")
    if not specs:
        configured = config.policy
        return [configured.name.rpartition(":")[2]], [partial(_made, configured.name, configured.options)]
    return list(specs), [partial(_made, *parse_policy(spec)) for spec in specs]


def _made(path: str, options: dict[str, Any], d: int, fingerprint: str) -> Policy:
    return load_policy(path, d=d, fingerprint=fingerprint, options=options)
