"""The command `highwayman allocate`: a file of prompts routed as one, under one budget."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from highwayman.bandit.policy import Policy, PredictsQuality
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.atomic_write import atomic_writer
from highwayman.env.cost.allocation import Allocation, allocate
from highwayman.env.cost.objective import POINT
from highwayman.env.errors import ConfigError, NoEligibleArm
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import DEFAULT_TENANT, Arm, Context, Floats, JsonObject, Query
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.learning.snapshot_file import read_snapshot
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.cli.context import LogOptions, log_options, print_report
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.requests.batch_file import BatchLine, batch_line, json_lines, read_batch
from highwayman.serving.completions.requests.tag_reader import TagReader
from highwayman.serving.config.config import Config
from highwayman.serving.http.asgi import Scope
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.serving.wiring.privacy import build_guard
from highwayman.serving.wiring.settings import Settings

_file = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What is expected of K arms' answers to n prompts."""

    quality: Floats  # (n, K) in [0, 1], times the chance to answer at all
    usd: Floats  # (n, K) NaN: the arm has no price, or may not answer
    refusals: Mapping[int, str]  # why nobody may answer a prompt, by its row


@click.command("allocate")
@click.argument("prompts", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--budget", "budget_usd", type=click.FloatRange(min=0), required=True, help="Dollars, for all of them.")
@click.option("--margin", type=click.FloatRange(min=0, max=1, max_open=True), default=0.0, show_default=True,
              help="Share of it to keep back, since calls may cost more than expected.")  # fmt: skip
@click.option("--out", type=_file, required=True, help="A JSON line for each prompt: arm, expected quality, dollars.")
@click.option("--batches", type=click.Path(path_type=Path, file_okay=False),
              help="Also write a batch file for each arm's server into this folder.")  # fmt: skip
@click.option("--without", multiple=True, metavar="ARM", help="As if the arm were not there.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose policy predicts.")
@click.option("--snapshot", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="What `snapshot save` wrote, instead of what is in force.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def allocate_command(
    options: LogOptions, prompts: Path, *, budget_usd: float, margin: float, out: Path, batches: Path | None,
    as_json: bool, **whose: Any,
) -> None:  # fmt: skip
    """Route a file of PROMPTS as one allocation: the most expected quality for a budget.

    PROMPTS are JSON lines: OpenAI's batch lines, bodies with `messages`, or with a `prompt`. What answers are worth and
    what they cost is as the router in force expects it.
    """
    lines = read_batch(prompts)
    arms, predictions, version = await _predicted(options, lines, **whose)
    sampled = [arm.name for arm in arms if arm.profile.best_of > 1]
    if batches is not None and sampled:
        raise ConfigError(
            f"--batches: {', '.join(sampled)} take the best of several answers; leave them out (--without)"
        )
    rows = [row for row in range(len(lines)) if row not in predictions.refusals]
    if not rows:
        raise ConfigError(f"no arm may answer any of the prompts. The first: {predictions.refusals[0]}")
    allocation = allocate(predictions.quality[rows], predictions.usd[rows], budget_usd=budget_usd, margin=margin)
    chosen = dict(zip(rows, (arms[k] for k in allocation.actions.tolist()), strict=True))
    _write(out, _results(lines, arms, chosen, predictions))
    if batches is not None:
        _write_batches(batches, lines, chosen)
    report = _report(allocation, arms, predictions, rows, ceiling_usd=budget_usd * (1.0 - margin))
    print_report({**report, "version": version}, as_json=as_json)


async def _predicted(
    options: LogOptions, lines: Sequence[BatchLine], *, snapshot: Path | None, without: Sequence[str], tenant: str
) -> tuple[tuple[Arm, ...], Predictions, int]:
    """Return the arms, what is expected of them, and by which version. Raises ConfigError, SnapshotError."""
    if options.pool is None:
        raise ConfigError("give the pool file (--pool): it says which arms there are, and what their tokens cost")
    async with AsyncExitStack() as stack:
        published: Published | None
        if snapshot is not None:
            factory = stack.enter_context(options.factory())
            published = read_snapshot(snapshot, lineage=factory.lineage)
        else:
            client, factory = await stack.enter_async_context(options.open())
            published = await factory.publications(client).load()
            if published is None:
                raise ConfigError(f"nothing is published for lineage {factory.lineage}; is this the router's --config?")
        unknown = set(without) - set(factory.arm_names)
        if unknown:
            raise ConfigError(f"--without {min(unknown)}: the pool's arms are {', '.join(factory.arm_names)}")
        arms = tuple(arm for arm in factory.arms if arm.name not in without)
        guard = build_guard(stack, Settings(tuple(factory.arms), "", factory.config))
        lines = [await _cleared(line, guard, tenant) for line in lines]
        contexts = factory.encoder.encode_many(_tagged(lines, factory.config, tenant))
        quotes = TallyQuotes(arms)
        quotes.follow(Tally.from_json(published.snapshot.tally))
        expected_quality = _expecting(_policies(factory, published).policy_for(tenant), arms)
        predictions = _predictions(arms, expected_quality, quotes, lines=lines, contexts=contexts)
        return arms, predictions, published.stamp.version


async def _cleared(line: BatchLine, guard: DataGuard | None, tenant: str) -> BatchLine:
    """Return a line that goes where its class may; nothing is replaced in it, as no answer comes back through here."""
    if guard is None:
        return line
    scope: Scope = {"headers": []}
    as_it_is = replace(guard, redacted=frozenset())
    request = await as_it_is.clear(line.request, scope, Principal(tenant=tenant))
    if not guard.may_encode(request):
        request = replace(request, query=replace(request.query, text="", pictures=()))
    return replace(line, request=request)


def _tagged(lines: Sequence[BatchLine], config: Config, tenant: str) -> list[Query]:
    """Return the queries with the declared tags that bodies tell; no header and no key came with them."""
    reader = TagReader(config.declared_tags(), None, secret=bytes)
    scope: Scope = {"headers": []}
    principal = Principal(tenant=tenant)
    return [replace(line.request.query, tags=reader.read(scope, line.request.body, principal)) for line in lines]


def _policies(factory: LearnerFactory, published: Published) -> TenantPolicies:
    policies = TenantPolicies(factory.policy(), factory.policy)
    policies.restore(published.snapshot.policy)
    for name in factory.arm_names:
        policies.add_arm(name)
    return policies


def _expecting(policy: Policy, arms: Sequence[Arm]) -> Callable[[Context], Floats]:
    """Return what tells the quality (K,) expected of each arm. Raises ConfigError for a policy that expects none."""
    if not isinstance(policy, PredictsQuality):
        raise ConfigError(f"policy {type(policy).__name__} does not say what quality it expects; take one that does")
    names = [arm.name for arm in arms]
    return lambda context: np.clip(policy.expected_quality(context, names), 0.0, 1.0)


def _predictions(
    arms: Sequence[Arm], expected_quality: Callable[[Context], Floats], quotes: TallyQuotes,
    *, lines: Sequence[BatchLine], contexts: Sequence[Context],
) -> Predictions:  # fmt: skip
    """Return what is expected of each prompt's answers, priced as the router prices requests."""
    pool, chances = Pool(arms, EndpointHealth(time.monotonic)), quotes.chances(time.time())
    shape = len(lines), len(arms)
    quality, usd, refusals = np.zeros(shape), np.full(shape, np.nan), dict[int, str]()
    for row, (line, context) in enumerate(zip(lines, contexts, strict=True)):
        try:
            answerable = pool.answerable(line.request.query, quotes.prompt_tokens(context))
        except NoEligibleArm as error:
            refusals[row] = str(error)
            continue
        places = slice(None) if answerable.places is None else answerable.places
        usd[row, places] = quotes.estimates(context, max_tokens=line.request.query.max_tokens).usd[places]
        quality[row] = expected_quality(context) * (1.0 if chances is None else chances)
        if np.isnan(usd[row]).all():
            refusals[row] = "None of the arms that may answer has a price."
    return Predictions(quality, usd, refusals)


def _results(
    lines: Sequence[BatchLine], arms: Sequence[Arm], chosen: Mapping[int, Arm], predictions: Predictions
) -> list[JsonObject]:
    """Return what is written of each prompt; nothing of its text."""
    places = {arm.name: k for k, arm in enumerate(arms)}
    results: list[JsonObject] = []
    for row, line in enumerate(lines):
        if row not in chosen:
            results.append({"custom_id": line.custom_id, "arm": None, "error": predictions.refusals[row]})
            continue
        cell = row, places[chosen[row].name]
        results.append({
            "custom_id": line.custom_id, "arm": chosen[row].name,
            "expected_quality": float(predictions.quality[cell]), "expected_usd": float(predictions.usd[cell]),
        })  # fmt: skip
    return results


def _write_batches(folder: Path, lines: Sequence[BatchLine], chosen: Mapping[int, Arm]) -> None:
    """Write each arm's batch file, under its name as far as a file may be called so."""
    by_arm: dict[str, list[JsonObject]] = {}
    for row, arm in chosen.items():
        by_arm.setdefault(arm.name, []).append(batch_line(lines[row], arm))
    files = {name: re.sub(r"[^\w.-]", "-", name).lstrip(".") for name in by_arm}
    if len(set(files.values())) < len(files):
        raise ConfigError(f"--batches: two of the arms {', '.join(files)} would have one file's name")
    folder.mkdir(parents=True, exist_ok=True)
    for name, requests in by_arm.items():
        _write(folder / f"{files[name]}.jsonl", requests)


def _write(path: Path, objects: Sequence[JsonObject]) -> None:
    with atomic_writer(path) as file:
        for line in json_lines(objects):
            file.write(line)


def _report(
    allocation: Allocation, arms: Sequence[Arm], predictions: Predictions, rows: Sequence[int], *, ceiling_usd: float
) -> dict[str, Any]:
    """Return what an operator wants to know of it: also what the best one arm for all of it would come to."""
    counts = np.bincount(allocation.actions, minlength=len(arms)).tolist()
    usd, quality = predictions.usd[rows].sum(axis=0), predictions.quality[rows].mean(axis=0)
    affordable = np.flatnonzero(usd <= ceiling_usd)  # False where NaN
    alone = None
    if affordable.size:
        best = int(affordable[quality[affordable].argmax()])
        alone = f"{arms[best].name}: quality {quality[best]:.4f} for ${usd[best]:.4g}"
    return {
        "prompts": len(predictions.usd),
        "without_any_arm": len(predictions.refusals),
        "expected_quality": allocation.expected_quality,
        "expected_usd": allocation.expected_usd,
        "points_for_the_next_dollar": allocation.price / POINT,
        "arms": [f"{arm.name} {count}" for arm, count in zip(arms, counts, strict=True) if count],
        "best_single_arm": alone,
    }
