"""What limits cost a request: CPU of the router's process and of Valkey, beside all else that a request takes.

    python -m benchmarks.quotas [--requests 700] [--rounds 7]

Requests of one caller are let in one after another and settled, with limits far away: of requests alone, of tokens and
dollars as well, and of requests where nothing is taken ahead, as under a limit below 200 or for callers who ask seldom.
Medians over the rounds, in microseconds a request.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis.asyncio as aioredis

from highwayman.env.types import Outcome, Status
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.quotas import parse_quotas
from highwayman.feedback.trust.shared_quotas import SharedQuotas
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey

_CALLER: Final = Principal("acme", "key-1")
_FAR: Final = {"requests_per_minute": 1e6, "requests_per_day": 1e9}
_CASES: Final[Mapping[str, Mapping[str, float]]] = {
    "requests": _FAR,
    "tokens and dollars, too": {"requests_per_minute": 1e6, "tokens_per_day": 1e10, "usd_per_month": 1e4},
    "nothing ahead": _FAR,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a case is measured."""

    client: "aioredis.Redis"
    requests: int
    rounds: int

    async def run(self, name: str, limits: Mapping[str, float]) -> str:
        """Return the line of a case."""
        shared = SharedQuotas(self.client, timer=time.monotonic, patience_s=5.0)
        gate = QuotaGate(shared, f"bench-{name}", clock=time.time)
        quotas = {"acme": parse_quotas(limits)}
        gate.follow(quotas, is_open_without_redis=False)
        router, valkey = list[float](), list[float]()
        for _ in range(self.rounds):
            ours, theirs = time.process_time(), await self._valkey_s()
            for number in range(self.requests):
                if name == "nothing ahead":
                    gate.follow(quotas, is_open_without_redis=False)
                await gate.admit(_CALLER, str(number), tokens=300, usd=0.001)
                gate.on_outcome(_outcome(str(number)))
                await asyncio.sleep(0)
            router.append((time.process_time() - ours) / self.requests)
            valkey.append((await self._valkey_s() - theirs) / self.requests)
        await shared.close()
        return f"{name:<24} {1e6 * statistics.median(router):8.1f} {1e6 * statistics.median(valkey):8.1f}"

    async def _valkey_s(self) -> float:
        used = await self.client.info("cpu")
        return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def _outcome(decision_id: str) -> Outcome:
    return Outcome(
        decision_id=decision_id, at=0.0, arm="a", status=Status.OK, prompt_tokens=5, tokens_in=5, tokens_out=100,
        cost_usd=0.0005, ttft_s=None, latency_s=1.0, finish_reason="stop",
    )  # fmt: skip


async def main() -> None:
    """Measure the cases and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quotas")
    parser.add_argument("--requests", type=int, default=700)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="highwayman-bench-") as folder:
        valkey = EmbeddedValkey(Path(folder))
        await valkey.start()
        client = connect(valkey.url)
        print(f"{'us a request':<24} {'router':>8} {'valkey':>8}")
        for name, limits in _CASES.items():
            print(await Bench(client, options.requests, options.rounds).run(name, limits), flush=True)
        await client.aclose()
        await valkey.stop()


if __name__ == "__main__":
    asyncio.run(main())
