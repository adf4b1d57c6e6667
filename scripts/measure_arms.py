"""Measures arms of the local model on checkable prompts: quality by kind, tokens, CPU time, and so the prices.

    python -m scripts.measure_arms --prompts 240 --seed 101 --out answers.jsonl [--pool candidates.yaml]

Every arm answers every prompt, and what is written is a table as docs/reference/tables.md has it, for `highwayman
simulate` and `python -m benchmarks.small_pool`. One model serves all arms, so all have the same price per token; it is
fitted to the CPU time the server spent and to a price per core and hour.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from highwayman.demo.questions.prompts import Prompt, generate
from highwayman.env.cost.usage import cost_usd
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.pool_file import load_pool
from highwayman.env.pool.profile import upstream_body
from highwayman.env.types import Arm, Usage
from highwayman.env.upstream.client import Upstream
from highwayman.serving.processes.local_pool import local_pool_yaml, start_local_pool

_CPU_FIELDS = slice(11, 13)  # of /proc/PID/stat behind the name: utime and stime


@dataclass(frozen=True, slots=True)
class Row:
    """What one arm made of one prompt: a row of a table, with the answer beside it."""

    prompt_id: str  # the prompt itself: none comes twice
    prompt: str
    task: str
    model: str  # the arm
    quality: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    answer: str
    expected: str


@dataclass(frozen=True, slots=True)
class Block:
    """All prompts of one kind answered by one arm, and the CPU time the server spent on them."""

    arm: str
    kind: str
    rows: tuple[Row, ...]
    cpu_s: float


def cpu_s(pid: int) -> float:
    """Return the CPU time process `pid` has used so far, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[_CPU_FIELDS])) / os.sysconf("SC_CLK_TCK")


async def ask(upstream: Upstream, arm: Arm, prompt: Prompt) -> Row:
    """Return the graded answer of `arm`, called the way the router calls it."""
    body = {"model": arm.name, "messages": [{"role": "user", "content": prompt.text}]}
    answer = await upstream.open([arm], "/v1/chat/completions", lambda one: upstream_body(body, one, chat=True))
    reply = json.loads(await answer.body())
    text, usage = reply["choices"][0]["message"]["content"] or "", reply["usage"]
    quality = float(prompt.check(text))
    tokens = Usage(usage["prompt_tokens"], usage["completion_tokens"])
    usd = cost_usd(arm, tokens) or 0.0
    counts = quality, tokens.tokens_in, tokens.tokens_out, usd
    return Row(prompt.text, prompt.text, prompt.kind, arm.name, *counts, text, prompt.expected)


async def measure_block(upstream: Upstream, arm: Arm, prompts: Sequence[Prompt], *, pid: int, at_once: int) -> Block:
    """Return how `arm` did on prompts of one kind, `at_once` of them in flight."""
    gate = asyncio.Semaphore(at_once)

    async def one(prompt: Prompt) -> Row:
        async with gate:
            return await ask(upstream, arm, prompt)

    before = cpu_s(pid)
    rows = await asyncio.gather(*map(one, prompts))
    return Block(arm.name, prompts[0].kind, tuple(rows), cpu_s(pid) - before)


@asynccontextmanager
async def calling() -> AsyncIterator[Upstream]:
    """Give an upstream that is closed afterwards."""
    upstream = Upstream(EndpointHealth(time.monotonic), time.monotonic)
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close()


def read_arms(pool: Path | None, url: str) -> tuple[Arm, ...]:
    """Return the arms of a pool file (or of the shipped one) with `url` as their endpoint."""
    text = pool.read_text().replace("LOCAL_POOL_URL", url) if pool else local_pool_yaml(url)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pool.yaml")
        path.write_text(text)
        return load_pool(path).arms


async def measure(options: argparse.Namespace, progress: Progress) -> list[Block]:
    """Return one block for every arm and kind, appending rows to the output as they come."""
    by_kind: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in generate(options.prompts, seed=options.seed):
        by_kind[prompt.kind].append(prompt)
    blocks = []
    async with await start_local_pool() as pool, calling() as upstream:
        arms = [arm for arm in read_arms(options.pool, pool.url) if not options.arms or arm.name in options.arms]
        task = progress.add_task("arms x kinds", total=len(arms) * len(by_kind))
        for arm in arms:
            for prompts in by_kind.values():
                pid = pool.pid
                block = await measure_block(upstream, arm, prompts, pid=pid, at_once=options.concurrency)
                append(options.out, block.rows)
                blocks.append(block)
                progress.advance(task)
    return blocks


def append(path: Path, rows: Sequence[Row]) -> None:
    """Append rows as JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def cpu_per_token(blocks: Sequence[Block]) -> tuple[float, float]:
    """Return CPU seconds per prompt token and per answer token, fitted to all blocks by least squares.

    Prompt tokens count as billed, though most of an arm's own prefix is in the server's cache: so the price of a
    prompt token is an average over cached and fresh ones, as on a price list.
    """
    tokens = np.array([[sum(r.input_tokens for r in b.rows), sum(r.output_tokens for r in b.rows)] for b in blocks])
    spent = np.array([block.cpu_s for block in blocks])
    solution, *_ = np.linalg.lstsq(tokens.astype(float), spent, rcond=None)
    return float(solution[0]), float(solution[1])


def quality_table(blocks: Sequence[Block]) -> Table:
    """Return quality by arm and kind, with tokens and CPU time per answer."""
    kinds = list(dict.fromkeys(block.kind for block in blocks))
    table = Table(title="quality by arm and kind")
    for column in ("arm", *kinds, "all", "in", "out", "$/M", "CPU ms"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for arm in dict.fromkeys(block.arm for block in blocks):
        mine = {block.kind: block for block in blocks if block.arm == arm}
        rows = [row for block in mine.values() for row in block.rows]
        table.add_row(
            arm,
            *(f"{np.mean([row.quality for row in mine[kind].rows]):.2f}" for kind in kinds),
            f"{np.mean([row.quality for row in rows]):.2f}",
            f"{np.mean([row.input_tokens for row in rows]):.0f}",
            f"{np.mean([row.output_tokens for row in rows]):.1f}",
            f"{1e6 * np.mean([row.cost_usd for row in rows]):.1f}",
            f"{1000 * sum(block.cpu_s for block in mine.values()) / len(rows):.0f}",
        )
    return table


def price_lines(blocks: Sequence[Block], usd_per_core_hour: float) -> str:
    """Return the prices per million tokens that the measured CPU time comes to."""
    reading, writing = cpu_per_token(blocks)
    usd_per_cpu_s = usd_per_core_hour / 3600
    return (
        f"CPU per prompt token {1000 * reading:.2f} ms, per answer token {1000 * writing:.2f} ms; "
        f"at ${usd_per_core_hour:g} per core and hour:\n"
        f"usd_per_mtok_in: {1e6 * reading * usd_per_cpu_s:.4f}\nusd_per_mtok_out: {1e6 * writing * usd_per_cpu_s:.4f}"
    )


def main() -> None:
    """Measure, print the table and the prices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, help="arms to measure; LOCAL_POOL_URL stands for the endpoint")
    parser.add_argument("--arms", nargs="*", help="only these")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=3)
    parser.add_argument("--usd-per-core-hour", type=float, default=0.04)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines are appended here")
    options = parser.parse_args()
    console = Console()
    with Progress(console=console, transient=True) as progress:
        blocks = asyncio.run(measure(options, progress))
    console.print(quality_table(blocks))
    console.print(price_lines(blocks, options.usd_per_core_hour))


if __name__ == "__main__":
    main()
