"""Asks running model servers what they serve, and writes the answer as a pool file."""

import asyncio
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import aiohttp
import yaml

from highwayman.env.errors import ConfigError, HighwaymanError
from highwayman.env.pool.schema import RESERVED_NAMES, base_url
from highwayman.serving.processes.tool_probe import calls_tools

_MAX_ANSWER_BYTES = 4 * 2**20
_PROBED_AT_ONCE = 8


class DiscoveryError(HighwaymanError):
    """A server could not be asked what it serves, or its answer is not an OpenAI server's."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, or a LoRA adapter with its parent, as a server's `/v1/models` lists it."""

    endpoint: str
    id: str
    parent: str | None = None
    max_model_len: int | None = None
    tools: bool | Literal["unknown"] | None = None  # whether it calls tools; None: it was not asked


@dataclass(frozen=True, slots=True)
class ArmDefaults:
    """What no server can tell of itself, given on the command line for every arm found."""

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    context_window_tokens: int | None = None
    api_key_env: str | None = None

    def __post_init__(self) -> None:
        prices = [price for price in (self.usd_per_mtok_in, self.usd_per_mtok_out) if price is not None]
        if len(prices) == 1:
            raise ConfigError("one price without the other. Give both, or neither for `price: unknown`.")
        if not all(0 <= price < math.inf for price in prices):
            raise ConfigError(f"a price must be a number of dollars, 0 or more, got {prices}")


async def discover(
    urls: Sequence[str], *, api_key: str | None = None, timeout_s: float = 10.0, probe_tools: bool = False
) -> list[ServedModel]:
    """Return what the servers at `urls` serve, in the order they list it.

    With `probe_tools`, each model is asked for a token, to see whether it calls tools; an adapter is as its parent.

    Raises:
        DiscoveryError: a server does not answer, is no OpenAI server, or serves nothing.
    """
    bases = list(dict.fromkeys(_base(url) for url in urls))
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        served = await asyncio.gather(*(_served(session, base) for base in bases))
        models = [model for models in served for model in models]
        return await _probed(session, models) if probe_tools else models


async def _probed(session: aiohttp.ClientSession, models: Sequence[ServedModel]) -> list[ServedModel]:
    """Return the models with what their servers told of tools."""
    known = {(model.endpoint, model.id) for model in models}
    parents = [
        model.parent if model.parent and (model.endpoint, model.parent) in known else model.id for model in models
    ]
    asked = list(dict.fromkeys((model.endpoint, name) for model, name in zip(models, parents, strict=True)))
    at_once = asyncio.Semaphore(_PROBED_AT_ONCE)

    async def probe(endpoint: str, name: str) -> bool | None:
        async with at_once:
            return await calls_tools(session, endpoint, name)

    told = dict(zip(asked, await asyncio.gather(*(probe(*each) for each in asked)), strict=True))
    tools = [told[model.endpoint, name] for model, name in zip(models, parents, strict=True)]
    return [
        replace(model, tools="unknown" if calls is None else calls) for model, calls in zip(models, tools, strict=True)
    ]


def render_pool(models: Iterable[ServedModel], defaults: ArmDefaults) -> str:
    """Return the YAML of a pool in which each served model is an arm; servers of one model become its replicas.

    Raises:
        DiscoveryError: no server and no default tells a model's context window.
    """
    replicas: dict[str, list[ServedModel]] = {}
    for model in models:
        replicas.setdefault(model.id, []).append(model)
    arms: dict[str, dict[str, Any]] = {}
    for group in replicas.values():
        arms[_arm_name(group[0].id, taken=arms)] = _arm(group, defaults)
    note = (
        "" if defaults.usd_per_mtok_in is not None else "# Prices are unknown, so cost plays no part: put yours in.\n"
    )
    return (
        f"# Found by `highwayman pool discover`. Rename an arm now or never: what is learned hangs on its name.\n{note}"
        + (yaml.safe_dump({"arms": arms}, sort_keys=False, allow_unicode=True))
    )


def _base(url: str) -> str:
    try:
        return base_url(url)
    except ValueError as error:
        raise DiscoveryError(str(error)) from error


async def _served(session: aiohttp.ClientSession, base: str) -> list[ServedModel]:
    url = f"{base}/v1/models"
    try:
        async with session.get(url) as response:
            status, body = response.status, await response.content.read(_MAX_ANSWER_BYTES)
            while chunk := await response.content.read(_MAX_ANSWER_BYTES - len(body)):
                body += chunk
    except TimeoutError as error:
        raise DiscoveryError(
            f"{url}: no answer in {session.timeout.total:g} s. Is the server still starting?"
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise DiscoveryError(f"{url}: not reachable: {_cause(error)}. Is a server running there?") from error
    if status in {401, 403}:
        raise DiscoveryError(f"{url}: the server wants another key. Name its environment variable: --api-key-env NAME.")
    return _parse(base, status, body)


def _cause(error: Exception) -> str:
    if not isinstance(error, OSError) or not error.errno:
        return str(error) or type(error).__name__
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # negative: of the name's look-up


def _parse(base: str, status: int, body: bytes) -> list[ServedModel]:
    """Return the models listed in `body`, each with its window, which an adapter has from its parent."""
    try:
        cards = json.loads(body)["data"] if status == 200 else None
        models = [_model(base, card) for card in cards or ()]
    except (ValueError, LookupError, TypeError, RecursionError):
        cards = models = None
    if not isinstance(cards, list) or models is None:
        raise DiscoveryError(
            f"{base}/v1/models: status {status}, not the answer of an OpenAI server. Is the URL right?"
        )
    if not models:
        raise DiscoveryError(f"{base}/v1/models: the server serves no models.")
    windows = {model.id: model.max_model_len for model in models}
    return [
        ServedModel(base, model.id, model.parent, model.max_model_len or windows.get(model.parent or ""))
        for model in models
    ]


def _model(base: str, card: Mapping[str, Any]) -> ServedModel:
    name, parent, window = card["id"], card.get("parent"), card.get("max_model_len")
    if not isinstance(name, str) or not name:
        raise ValueError("a model without an id")
    return ServedModel(
        base,
        name,
        parent if isinstance(parent, str) and parent else None,
        window if isinstance(window, int) and window > 0 else None,
    )


def _arm(replicas: Sequence[ServedModel], defaults: ArmDefaults) -> dict[str, Any]:
    first = replicas[0]
    windows = [model.max_model_len for model in replicas if model.max_model_len]
    window = min(windows) if windows else defaults.context_window_tokens
    if window is None:
        text = f"{first.endpoint}: does not tell the window of '{first.id}'."
        raise DiscoveryError(f"{text} Give it: --context-window-tokens N.")
    arm: dict[str, Any] = {"endpoints": [model.endpoint for model in replicas], "model": first.id}
    if defaults.usd_per_mtok_in is None:
        arm["price"] = "unknown"
    else:
        arm |= {"usd_per_mtok_in": defaults.usd_per_mtok_in, "usd_per_mtok_out": defaults.usd_per_mtok_out}
    arm["context_window_tokens"] = window
    tools = _tools(replicas)
    if tools is not None:
        arm["tools"] = tools
    if first.parent:
        arm["tags"] = {"lora_of": first.parent}
    if defaults.api_key_env:
        arm["api_key_env"] = defaults.api_key_env
    return arm


def _tools(replicas: Sequence[ServedModel]) -> bool | Literal["unknown"] | None:
    """Return whether an arm calls tools: as its replicas do, and not if one of them does not."""
    told = {model.tools for model in replicas}
    if len(told) == 1:
        return told.pop()
    return False if False in told else "unknown"


def _arm_name(model: str, taken: Mapping[str, Any]) -> str:
    """Return a short name for a model id such as `meta-llama/Llama-3.1-8B` that no other arm has."""
    last = re.sub(r"[^A-Za-z0-9._:@+-]+", "-", model.rstrip("/").rsplit("/", 1)[-1]).strip("-._:@+").lower()[:100]
    name = f"model-{last}" if last in RESERVED_NAMES or not last else last
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)
