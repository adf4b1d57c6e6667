"""The two measurements: this router beside other proxies, and two of its source trees beside each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxies.arena import Arena, settings
from benchmarks.proxies.cores import Placement
from benchmarks.proxies.mock_upstream import EVENTS
from benchmarks.proxies.peer import Peer
from benchmarks.proxies.peers.fastapi_aiohttp import FastApiAiohttp
from benchmarks.proxies.peers.highwayman import Highwayman, SourceTree
from benchmarks.proxies.peers.litellm import LiteLlm
from benchmarks.proxies.peers.nginx import Nginx
from benchmarks.proxies.peers.tensorzero import TensorZero
from benchmarks.proxies.peers.vllm_router import VllmRouter
from benchmarks.proxies.report import harness, microseconds, other_table, ratio_table
from benchmarks.proxies.rounds import Results, interleaved
from benchmarks.proxies.workers import measure_workers

_SETTLE_S = 0.3


@dataclass(frozen=True, slots=True)
class Effort:
    """What is measured, and how long."""

    rounds: int
    seconds: float  # a burst
    clients: Sequence[int]
    arms: int
    venvs: Sequence[Path] = ()  # where peers may be installed


async def beside_proxies(cores: Placement, effort: Effort) -> tuple[str, int]:
    """Return the tables of this router beside whatever peers are installed, and how many of its requests failed."""
    heading, tree = _heading(cores, effort), SourceTree()
    router, yardstick = Highwayman(tree, arms=effort.arms), FastApiAiohttp()
    peers: list[Peer] = [Nginx(), VllmRouter(), TensorZero(), yardstick, router, LiteLlm()]
    results, workers, errors = await _measured(peers, [tree], cores, effort)
    asked = list(settings(effort.clients))
    own = [(name, name, yardstick.name) for name in results.peers if name != yardstick.name]
    others = [(f"/ {name}", router.name, name) for name in results.peers if name != router.name]
    lines = [
        *heading,
        f"CPU of a request, as a multiple of {yardstick.name}'s",
        *ratio_table(results, asked, own),
        microseconds(results, asked, yardstick.name),
        "",
        f"CPU of a request: {router.name} / each of the others",
        *ratio_table(results, asked, others),
        "",
        *other_table(results, asked[0]),
        "",
        *workers,
        harness(results),
        *(f"not measured: {name} ({reason})" for name, reason in results.missing.items()),
    ]
    return "".join(f"{line}\n" for line in lines), errors + results.errors(router.name)


async def beside_each_other(trees: Sequence[SourceTree], cores: Placement, effort: Effort) -> tuple[str, int]:
    """Return the tables of the second of two source trees beside the first, and how many requests failed at it."""
    heading = _heading(cores, effort)
    before, after = routers = [Highwayman(tree, arms=effort.arms) for tree in trees]
    results, workers, errors = await _measured(routers, trees, cores, effort)
    asked = list(settings(effort.clients))
    lines = [
        *heading,
        f"CPU of a request: {after.name} / {before.name}",
        *ratio_table(results, asked, [("", after.name, before.name)]),
        *(microseconds(results, asked, router.name) for router in routers),
        "",
        *other_table(results, asked[0]),
        "",
        *workers,
        harness(results),
    ]
    return "".join(f"{line}\n" for line in lines), errors + results.errors(after.name)


async def _measured(
    peers: Sequence[Peer], trees: Sequence[SourceTree], cores: Placement, effort: Effort
) -> tuple[Results, list[str], int]:
    """Return results, a sentence on workers for each tree, and how many requests failed at the last tree's workers.

    Raises RuntimeError: a router or the yardstick did not start.
    """
    async with Arena(cores, venvs=effort.venvs, settle_s=min(_SETTLE_S, effort.seconds)) as arena:
        for peer in peers:
            await arena.add(peer)
        needed = [peer.name for peer in peers if isinstance(peer, Highwayman | FastApiAiohttp)]
        problems = [f"{name}: {arena.missing[name]}" for name in needed if name in arena.missing]
        if problems:
            raise RuntimeError("; ".join(problems))
        asked = list(settings(effort.clients))
        results = await interleaved(arena, asked, rounds=effort.rounds, seconds=effort.seconds)
    sentences, errors = [], 0
    for tree in trees:
        sentence, errors = await measure_workers(tree, cores, rounds=effort.rounds, seconds=effort.seconds)
        sentences.append(sentence)
    return results, sentences, errors


def _heading(cores: Placement, effort: Effort) -> list[str]:
    """Return what has to be known to read the tables."""
    room = "client, upstream and peer on cores of their own" if cores.roomy else "client and upstream share one"
    before = f"load average before {os.getloadavg()[0]:.1f}"
    return [
        f"{os.cpu_count()} cores ({room}), {before}; {effort.arms} arms; streams of {EVENTS} events",
        f"{effort.rounds} rounds of {effort.seconds:g} s each, interleaved: median (least-most)",
        "",
    ]
