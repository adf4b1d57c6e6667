"""What signals tell on the local pool: python -m benchmarks.signals [--prompts 200] [--arms plain] [--signals Logprobs]

Real answers to the demonstration's prompts, with real log probabilities, each checked. Printed for each signal is the
probability that it is higher for a right answer than for a wrong one of the same arm to a prompt of the same kind (ties
count half): .5 tells nothing beyond what a policy learns of kinds anyway, below .5 a low number is the good sign. With
the standard error of a bootstrap over answers.
"""

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from highwayman.demo.questions.prompts import Prompt, generate
from highwayman.env.confidence.loading import load_signals
from highwayman.env.confidence.signal import AskingSignal, FinishedAnswer, Signal, read_signals
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.pool_file import load_pool
from highwayman.env.pool.profile import upstream_body
from highwayman.env.types import Arm, JsonObject, Profile
from highwayman.env.upstream.client import Upstream
from highwayman.serving.processes.local_pool import local_pool_yaml, start_local_pool

PATH = "/v1/chat/completions"
SIGNALS = ["Logprobs", "Refusal", "Verification", "Agreement"]
Groups = dict[tuple[str, str], list[tuple[bool, dict[str, float]]]]  # by arm and kind: whether it is right, signals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--arms", nargs="+", default=["plain", "copyist"])
    parser.add_argument("--signals", nargs="+", default=SIGNALS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    groups = asyncio.run(measured(generate(options.prompts, seed=options.seed), options.arms, options.signals))
    print(f"{sum(map(len, groups.values()))} answers, {sum(right for g in groups.values() for right, _ in g)} right")
    print(f"{'signal':<22}{'higher if right':>16}{'error':>8}{'answers':>9}")
    rng = np.random.default_rng(0)
    for name in sorted({name for group in groups.values() for _, signals in group for name in signals}):
        told = {key: [(ok, s[name]) for ok, s in group if name in s] for key, group in groups.items()}
        drawn = [higher({key: resampled(group, rng) for key, group in told.items()}) for _ in range(200)]
        print(f"{name:<22}{higher(told):>16.3f}{np.nanstd(drawn):>8.3f}{sum(map(len, told.values())):>9}")


async def measured(prompts: list[Prompt], names: list[str], specs: list[str]) -> Groups:
    signals = load_signals(specs)
    groups: Groups = defaultdict(list)
    upstream = Upstream(EndpointHealth(lambda: 0.0), asyncio.get_running_loop().time)
    await upstream.start()
    async with await start_local_pool() as pool:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pool.yaml"
            path.write_text(local_pool_yaml(pool.url))
            arms = [arm for arm in load_pool(path).arms if arm.name in names]
        for prompt in prompts:
            for arm in arms:
                right, told = await looked_at(upstream, arm, prompt, signals)
                groups[arm.name, prompt.kind].append((right, told))
    await upstream.close()
    return groups


async def looked_at(
    upstream: Upstream, arm: Arm, prompt: Prompt, signals: tuple[Signal, ...]
) -> tuple[bool, dict[str, float]]:
    asked: JsonObject = {"messages": [{"role": "user", "content": prompt.text}]}
    for signal in signals:
        asked |= signal.asks_for
    finished = FinishedAnswer(asked, await answer(upstream, arm, asked))
    told = read_signals(signals, finished)
    for signal in signals:
        if isinstance(signal, AskingSignal):
            whom = replace(arm, profile=arm.profile if signal.uses_profile else Profile())
            replies = [await answer(upstream, whom, body) for body in signal.questions(finished)]
            told |= read_signals([signal], replace(finished, replies=tuple(replies)))
    return bool(prompt.check(finished.transcript().text)), told


async def answer(upstream: Upstream, arm: Arm, body: JsonObject) -> JsonObject:
    response = await upstream.open([arm], PATH, lambda arm: upstream_body(body, arm, chat=True))
    parsed: JsonObject = json.loads(await response.body())
    return parsed


def higher(groups: dict[tuple[str, str], list[tuple[bool, float]]]) -> float:
    """Return the share of pairs of a right and a wrong answer, of one group, whose right one has the higher signal."""
    pairs = won = 0.0
    for group in groups.values():
        right, wrong = (np.array([value for ok, value in group if ok is wanted]) for wanted in (True, False))
        above = right[:, None] - wrong[None, :]
        pairs, won = pairs + above.size, won + float((above > 0).sum() + 0.5 * (above == 0).sum())
    return won / pairs if pairs else float("nan")


def resampled(group: list[tuple[bool, float]], rng: np.random.Generator) -> list[tuple[bool, float]]:
    return [group[k] for k in rng.integers(0, len(group), len(group))] if group else []


if __name__ == "__main__":
    main()
