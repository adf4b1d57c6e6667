"""`highwayman import litellm`: the configuration of LiteLLM's proxy as a pool file and a configuration.

Looked at: docs.litellm.ai, "Config.yaml", "All settings", "Fallbacks" and "Caching", as of November 2026.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from highwayman.env.errors import ConfigError
from highwayman.env.pool.yaml_lines import read_yaml
from highwayman.serving.cli.imports.imported import Imported, reading, write_files
from highwayman.serving.cli.imports.litellm_models import add_models

_SETTINGS: Final = ("litellm_settings", "router_settings", "general_settings")
_DAYS: Final = {"s": 1 / 86400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "mo": 30.0}
_FALLBACKS: Final = (
    "whoever asks for `auto` is answered by another arm where one fails or is too small, without a list; whoever names "
    "an arm gets that one alone"
)
_STRATEGIES: Final = {
    "simple-shuffle": "which arm answers is learned from feedback",
    "least-busy": "among the replicas of an arm the least busy is asked anyway; which arm is learned",
    "latency-based-routing": "which arm is learned; seconds count where objective.points_per_s says how much",
    "usage-based-routing": "which arm is learned; limits of arms are not known",
    "usage-based-routing-v2": "which arm is learned; limits of arms are not known",
    "cost-based-routing": "prices count beside quality; `policy: {name: Cheapest}` would look at nothing else",
}
_REASONS: Final = {
    **dict.fromkeys(
        ("fallbacks", "context_window_fallbacks", "default_fallbacks", "content_policy_fallbacks"), _FALLBACKS
    ),
    **dict.fromkeys(
        ("num_retries", "allowed_fails", "cooldown_time", "retry_policy", "allowed_fails_policy", "retry_after",
         "disable_cooldowns", "max_fallbacks", "enable_pre_call_checks"),
        "how long who rests after which failure is settled (docs/explanation/failures.md)",
    ),
    **dict.fromkeys(("redis_host", "redis_port", "redis_password", "redis_url"), "give REDIS_URL in the environment"),
    **dict.fromkeys(
        ("success_callback", "failure_callback", "callbacks"),
        "what Langfuse's and others' clients say comes in (docs/how-to/feedback_adapters.md); metrics: /metrics",
    ),
    **dict.fromkeys(("drop_params", "modify_params"), "an arm's quirks say what it takes (docs/how-to/pool.md)"),
    "provider_budget_config": "a budget is of all arms together: budget.usd_per_day (docs/explanation/budgets.md)",
    "model_group_alias": "an arm has one name; callers that use the alias must say the arm's, or auto",
    "master_key": "give it in HIGHWAYMAN_API_KEYS, or make keys with `highwayman keys add`",
    **dict.fromkeys(("database_url", "store_model_in_db"), "there is no database: what is learned is in Redis"),
    "cache_params": "of it only ttl and similarity_threshold",
    "set_verbose": "highwayman serve --log-level debug",
    "json_logs": "docs/how-to/serving.md says what is logged",
    "include": "import each of these files",
}  # fmt: skip


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True,
              help="The folder to write pool.yaml and highwayman.yaml in.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace these files if they are there.")
def litellm(file: Path, folder: Path, force: bool) -> None:
    """Make pool.yaml and highwayman.yaml of the config.yaml of LiteLLM's proxy.

    Each deployment is an arm; those of a group that differ in their server alone are its replicas.
    """
    data = read_yaml(file).data
    if not isinstance(data, Mapping) or not isinstance(data.get("model_list"), list):
        raise ConfigError(f"{file}: has no model_list; is it the config.yaml of LiteLLM's proxy?")
    write_files(imported_litellm(data, file.name), folder, force=force)


def imported_litellm(data: Mapping[str, Any], name: str) -> Imported:
    """Return what a configuration comes to here. `name` is its file's."""
    imported, rest = Imported(f"LiteLLM's {name}"), dict(data)
    add_models(rest.pop("model_list"), imported)
    settings = dict[str, dict[str, Any]]()
    for key in _SETTINGS:
        with reading(key):
            settings[key] = dict(rest.pop(key, None) or {})
    proxy, router = settings["litellm_settings"], settings["router_settings"]
    with reading("litellm_settings, router_settings or environment_variables"):
        _add_budget(proxy, imported)
        _add_cache(proxy, imported)
        _add_routing(proxy, router, imported)
        if variables := dict(rest.pop("environment_variables", None) or {}):
            imported.set_in_environment.update(map(str, variables))
            imported.note("environment_variables", "set them yourself: keys do not belong in a file")
    for place, left in settings.items():
        imported.note_rest(place, left, _REASONS)
    imported.note_rest("", rest, _REASONS)
    imported.note_gaps()
    return imported


def _add_routing(proxy: dict[str, Any], router: dict[str, Any], imported: Imported) -> None:
    """Carry over how long a request may take, and tell what becomes of the strategy."""
    seconds = [proxy.pop("request_timeout", None), router.pop("timeout", None)]
    if given := [float(value) for value in seconds if value is not None]:
        imported.config["limits"] = {"all_attempts_s": min(given)}
    strategy = router.pop("routing_strategy", None)
    if strategy is not None:
        why = _STRATEGIES.get(strategy, "which arm answers is learned from feedback")
        imported.note(f"router_settings.routing_strategy ({strategy})", why)


def _add_budget(settings: dict[str, Any], imported: Imported) -> None:
    """Carry over what all of the proxy may spend, spread over the days of its time."""
    budget, duration = settings.pop("max_budget", None), settings.pop("budget_duration", None)
    if budget is None:
        return
    match = re.fullmatch(r"(\d+)(mo|[smhd])", str(duration or "").strip())
    if match is None or float(budget) <= 0:
        imported.note("litellm_settings.max_budget", "without a time there is no such budget here: budget.usd_per_day")
        return
    days = int(match[1]) * _DAYS[match[2]]
    imported.config["budget"] = {"usd_per_day": round(float(budget) / days, 6), "hard": True}
    if days != 1:
        imported.note(f"litellm_settings.budget_duration ({duration})", "the budget is spread over its days, of UTC")


def _add_cache(settings: dict[str, Any], imported: Imported) -> None:
    """Carry over that answers are given again."""
    params = dict(settings.get("cache_params") or {})
    if not settings.pop("cache", None):
        return
    settings.pop("cache_params", None)
    lifetime, similarity = params.pop("ttl", None), params.pop("similarity_threshold", None)
    cache = {"lifetime_s": lifetime and max(float(lifetime), 1.0), "similarity": similarity and float(similarity)}
    imported.config["answer_cache"] = {key: value for key, value in cache.items() if value is not None}
    params.pop("type", None)
    imported.note_rest("litellm_settings.cache_params", params, {**_REASONS, **dict.fromkeys(
        ("host", "port", "password", "url"), "answers are stored in the router's own Redis")})  # fmt: skip
