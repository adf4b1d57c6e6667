"""What a router keeps of requests that are over: descriptors, tasks and memory before and after.

    python -m benchmarks.leaks [--requests 30000] [--leavers 1000]

A router with an embedded Valkey, and a model server in a process of its own that stands for an arm that is well and for
seven that fail, each in its way. Descriptors (/proc), tasks (/metrics) and memory are counted when it is ready, with
the CPU that took; after a warm-up of a tenth of the requests, which fills caches and pools of connections; after the
requests, a third of which name a failing arm; and after clients that leave in the middle of a stream. Of the resident
memory that part is told, too, that another worker process takes once more: no file's pages. Exits with 1 if after the
warm-up there come more descriptors or tasks, or if memory grows by more than a kilobyte for each request or leaver.
"""

import argparse
import asyncio
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.proxies.process_tree import cpu_s
from benchmarks.running import running

FAILING = ("status", "hang_up", "html", "error", "silent", "broken", "empty")
_CONNECTIONS = 16
_STILL_S = 1.5  # numbers that have not moved for so long are final
_SETTLED_WITHIN_S = 30.0
_IDLE_S = 1.0  # after which the model server closes a connection
_LEAST_KB = 8 * 1024  # of memory that may come and go with what the allocator keeps
_STORY = "A story without an end"
_PATH = "/v1/chat/completions"

_WORD = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"well "}}]}\n\n'
_END = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
_WHOLE = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Well."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}'
)
_JSON, _SSE, _HTML = b"application/json", b"text/event-stream", b"text/html"


async def serve_upstream(port: int) -> None:
    """Answer as the model's name says."""
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        while True:
            async with asyncio.timeout(_IDLE_S):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
            model = re.search(rb'"model":"(\w+)"', body)
            name = "endless" if _STORY.encode() in body else model[1].decode() if model else ""
            await _answer(writer, name, streams=b'"stream":true' in body)
    writer.close()


async def _answer(writer: asyncio.StreamWriter, model: str, *, streams: bool) -> None:
    """Write one answer. Raises ConnectionError where the connection is to be closed."""
    if model == "hang_up":
        raise ConnectionError
    if model == "silent":
        await asyncio.sleep(60.0)
    if model == "endless" and streams:
        _write(writer, 200, _SSE, _WORD, length=1 << 40)
        while True:
            await asyncio.sleep(0.02)
            writer.write(_WORD)
            await writer.drain()
    if model == "broken":
        _write(writer, 200, _SSE if streams else _JSON, _WORD if streams else _WHOLE[:40], length=1 << 20)
        await writer.drain()
        raise ConnectionError
    well = (200, _SSE, _WORD + _END) if streams else (200, _JSON, _WHOLE)
    _write(
        writer,
        *{
            "status": (500, _JSON, b"{}"),
            "html": (200, _HTML, b"<html>It works!</html>"),
            "error": (200, _JSON, b'{"error":{"message":"CUDA out of memory"}}'),
            "empty": (200, _SSE if streams else _JSON, b""),
        }.get(model, well),
    )


def _write(writer: asyncio.StreamWriter, status: int, kind: bytes, body: bytes, *, length: int | None = None) -> None:
    size = len(body) if length is None else length
    writer.write(b"HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (status, kind, size, body))


@dataclass(frozen=True, slots=True)
class Held:
    """What a router holds."""

    descriptors: int
    memory_kb: int
    own_kb: int  # of the memory
    tasks: int


async def held(url: str, pid: int) -> Held:
    """Return what the router holds once that has not moved for a while; its memory may."""
    loop = asyncio.get_running_loop()
    last, since = Held(0, 0, 0, 0), loop.time()
    deadline = loop.time() + _SETTLED_WITHIN_S
    async with aiohttp.ClientSession() as http:  # one connection for all looks
        while loop.time() < deadline and loop.time() - since < _STILL_S:
            now = await _held(http, url, pid)
            if (now.descriptors, now.tasks) != (last.descriptors, last.tasks):
                since = loop.time()
            last = now
            await asyncio.sleep(0.1)
    return last


async def _held(http: aiohttp.ClientSession, url: str, pid: int) -> Held:
    async with http.get(f"{url}/metrics") as response:
        tasks = re.search(r"^highwayman_tasks (\S+)", await response.text(), re.MULTILINE)
    if tasks is None:
        raise RuntimeError("the router does not say how many tasks it has")
    return Held(*_process(pid), tasks=int(float(tasks[1])))


def _process(pid: int) -> tuple[int, int, int]:
    """Return the descriptors of a process, its resident memory, and what of that is no file's, both in kB."""
    memory = dict(re.findall(r"^(Rss|Anonymous): +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(memory["Rss"]), int(memory["Anonymous"])


async def send_requests(url: str, count: int, *, first: int = 0) -> None:
    """Ask for answers, whole and streamed; every third of an arm that fails, the others of whom the policy likes."""
    numbers = iter(range(first, first + count))

    async def send_some(http: aiohttp.ClientSession) -> None:
        for number in numbers:
            failing = FAILING[number // 3 % len(FAILING)]
            model = failing if number % 3 == 0 and (failing != "silent" or number % 10 == 0) else "auto"
            asked = [{"role": "user", "content": f"Question {number} of {number * 7919 % 1000} cats"}]
            body = {"model": model, "messages": asked, "stream": number % 2 == 0}
            async with http.post(url + _PATH, json=body) as response:
                await response.read()

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(send_some(http) for _ in range(_CONNECTIONS)))


async def leave(url: str, count: int) -> None:
    """Have clients leave: two of three after a streamed answer's first words, the others before any have come."""
    numbers = iter(range(count))

    async def leave_some() -> None:
        for number in numbers:
            model, text = ("silent", "Anything?") if number % 3 == 0 else ("well", f"{_STORY}, number {number}")
            asked = [{"role": "user", "content": text}]
            async with aiohttp.ClientSession() as http:
                asking = http.post(url + _PATH, json={"model": model, "messages": asked, "stream": True})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1 if model == "silent" else 10.0), asking as response:
                        await response.content.readany()
                        response.close()

    await asyncio.gather(*(leave_some() for _ in range(_CONNECTIONS)))


async def measure(requests: int, leavers: int) -> list[str]:
    """Print what a router holds at each stage; return what it kept that it should not have."""
    kept: list[str] = []
    arms: dict[str, dict[str, str]] = {name: {} for name in ("well", *FAILING)}
    async with running("benchmarks.leaks", arms, {"limits": {"first_byte_s": 1.0, "silence_s": 1.0}}) as router:
        url, pid = router.url, router.pid
        print(f"ready after {cpu_s(pid)[pid]:.2f} s of CPU")
        print(f"{'':26}{'descriptors':>12}{'tasks':>8}{'memory':>12}{'its own':>12}")
        _print_row("when it is ready", await held(url, pid))
        await send_requests(url, requests // 10)
        await leave(url, leavers // 10)
        before = await held(url, pid)
        _print_row("after the warm-up", before)
        for what, count, work in (
            (f"after {requests:,} requests", requests, send_requests(url, requests, first=requests)),
            (f"after {leavers:,} who left", leavers, leave(url, leavers)),
        ):
            await work
            after = await held(url, pid)
            _print_row(what, after)
            kept += [f"{what}: {problem}" for problem in _grown(before, after, count)]
            before = after
    return kept


def _print_row(what: str, now: Held) -> None:
    memory = "".join(f"{kb / 1024:8.1f} MiB" for kb in (now.memory_kb, now.own_kb))
    print(f"{what:26}{now.descriptors:12}{now.tasks:8}{memory}", flush=True)


def _grown(before: Held, after: Held, count: int) -> list[str]:
    problems = []
    if after.descriptors > before.descriptors:
        problems.append(f"{after.descriptors - before.descriptors} descriptors more")
    if after.tasks > before.tasks:
        problems.append(f"{after.tasks - before.tasks} tasks more")
    if after.memory_kb - before.memory_kb > _LEAST_KB + count:
        problems.append(f"{after.memory_kb - before.memory_kb} kB more")
    return problems


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--leavers", type=int, default=1_000)
    parser.add_argument("--serve-upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_upstream:
        asyncio.run(serve_upstream(arguments.serve_upstream))
        return
    kept = asyncio.run(measure(arguments.requests, arguments.leavers))
    if kept:
        raise SystemExit("\n".join(kept))


if __name__ == "__main__":
    main()
