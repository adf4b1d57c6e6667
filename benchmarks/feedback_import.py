"""How long a router takes for an import of feedback, and how long it lets others wait meanwhile.

    python -m benchmarks.feedback_import [--sizes 1000 6500]

A router with an embedded Valkey and a model server, each in a process of its own. So many answers are asked for as
there are thumbs in the largest import, each under a message's id of its own. Then export files of Open WebUI's are
posted: of thumbs on these answers, and of as many thumbs on messages that nobody knows, which are held. Printed are the
status, the seconds until it, those of the router's CPU (answers meanwhile among them), and how long /healthz and an
answer took meanwhile, at the median and at most.
"""

import argparse
import asyncio
import json
import time

import aiohttp
import numpy as np

from benchmarks.overhead import cpu_seconds
from benchmarks.running import running

_IMPORT = "/api/v1/evaluations/feedbacks/import"
_CHAT = "/v1/chat/completions"
_CONNECTIONS = 16


def export(count: int, *, prefix: str) -> list[dict[str, object]]:
    """Return an export file of thumbs on the first `count` messages."""
    return [
        {
            "id": f"{prefix}-feedback-{number}",
            "user_id": f"user-{number % 50}",
            "type": "rating",
            "data": {"rating": 1 if number % 3 else -1, "reason": "accurate", "tags": ["general"]},
            "meta": {"arena": False, "chat_id": f"chat-{number}", "message_id": f"{prefix}-{number}"},
            "snapshot": {"chat": {"title": "A title", "messages": ["words " * 20] * 6}},
        }
        for number in range(count)
    ]


async def ask(url: str, count: int, *, prefix: str) -> None:
    """Have answers, each under the id of a message."""
    numbers = iter(range(count))

    async def ask_some(http: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = {"model": "auto", "messages": [{"role": "user", "content": f"Question {number}"}]}
            headers = {"x-openwebui-message-id": f"{prefix}-{number}"}
            async with http.post(url + _CHAT, json=body, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(ask_some(http) for _ in range(_CONNECTIONS)))


async def others(url: str, until: "asyncio.Task[object]") -> dict[str, list[float]]:
    """Return how many seconds others waited, one request after another, until a task is done."""
    waited: dict[str, list[float]] = {"/healthz": [], _CHAT: []}
    body = {"model": "auto", "messages": [{"role": "user", "content": "Meanwhile?"}]}
    async with aiohttp.ClientSession() as http:
        while not until.done():
            for path, seconds in waited.items():
                began = time.perf_counter()
                asking = http.get(url + path) if path == "/healthz" else http.post(url + path, json=body)
                async with asking as response:
                    await response.read()
                seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)
    return waited


async def send(url: str, body: bytes) -> tuple[int, float]:
    """Return the status of an import, and the seconds until it."""
    began = time.perf_counter()
    async with (
        aiohttp.ClientSession() as http,
        http.post(url + _IMPORT, data=aiohttp.BytesPayload(body, content_type="application/json")) as response,
    ):
        await response.read()
        return response.status, time.perf_counter() - began


async def measure(sizes: list[int]) -> None:
    """Print a line for each import."""
    async with running("benchmarks.bodies", {"a": {}, "b": {}}) as router:
        await ask(router.url, max(sizes), prefix="known")
        for size in sizes:
            for prefix in ("known", "unknown"):
                cpu_s = cpu_seconds(router.pid)
                sending = asyncio.create_task(send(router.url, json.dumps(export(size, prefix=prefix)).encode()))
                waited = await others(router.url, sending)
                status, seconds = sending.result()
                told = ", ".join(
                    f"{path} {1000 * np.median(times):.1f} ms, at most {1000 * max(times):.1f}"
                    for path, times in waited.items()
                )
                cpu_s = cpu_seconds(router.pid) - cpu_s
                took = f"{seconds:5.2f} s ({cpu_s:.2f} s of CPU)"
                print(f"{size:6,} thumbs on {prefix:8} messages: {status} in {took}; meanwhile {told}", flush=True)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 6500, 10_000])
    asyncio.run(measure(parser.parse_args().sizes))


if __name__ == "__main__":
    main()
