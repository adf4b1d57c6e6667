"""A part of a process that fails, by a fault of ours, ends the process: whoever keeps it up can start it again."""

import asyncio
import contextlib
import time

import aiohttp
import pytest
import yaml

from tests.faults.audit import audit
from tests.faults.clients import Memory
from tests.faults.processes import ARMS, WITHIN_S, Process, Router, World, world
from tests.upstream_server import Say, Stall

FAILING = {"policy": {"name": "tests.faults.failing_policy:FailingPolicy"}}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["serve", "learn"])
async def test_a_process_whose_learner_fails_ends_with_an_error_and_nothing_acknowledged_is_lost(kind: str) -> None:
    async with world() as here:
        good = yaml.safe_load(here.config.read_text())
        router = here.router("--no-learn") if kind == "learn" else None
        if router is not None:
            await router.ready()
        here.config.write_text(yaml.safe_dump({**good, **FAILING}))
        failing: Process = here.learner() if kind == "learn" else here.router()
        router = router or here.routers[0]
        await asyncio.gather(router.ready(), failing.ready())
        said = await asked_and_said(router)
        assert await ended(failing) == 1
        assert "RuntimeError: a fault of ours" in failing.log()
        forget(here, failing)
        here.config.write_text(yaml.safe_dump(good))
        if kind == "serve":
            await here.router().ready()
        else:
            await here.learner().ready()
        found = await audit(here, said)
        assert found.statements == 1


@pytest.mark.timeout(120)
async def test_a_failed_part_ends_the_process_within_a_second_though_answers_stream() -> None:
    async with world() as here:
        good = yaml.safe_load(here.config.read_text())
        here.config.write_text(yaml.safe_dump({**good, **FAILING}))
        for name in ARMS:
            here.upstream.script(f"{name}-upstream", Say(), Stall())
        router = here.router()
        await router.ready()
        timeout = aiohttp.ClientTimeout(total=30.0)
        async with aiohttp.ClientSession(router.url, timeout=timeout) as http:
            said, streams = await asked(router), []
            for _ in range(6):
                body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Who?"}]}
                streams.append(await http.post("/v1/chat/completions", json=body))
            await router.post("/v1/feedback", {"decision_id": said, "value": True})
            await router.says("a background task has ended")
            failed_at = time.monotonic()
            assert await ended(router) == 1
            assert time.monotonic() - failed_at < 2.0  # one, and a busy machine's
            for stream in streams:
                stream.close()
        forget(here, router)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["serve", "up"])
async def test_whoever_keeps_a_process_up_starts_it_anew_when_a_part_of_it_has_failed(kind: str) -> None:
    async with world() as here:
        good = yaml.safe_load(here.config.read_text())
        here.config.write_text(yaml.safe_dump({**good, **FAILING}))
        router = here.router("--workers=2") if kind == "serve" else here.router(command="up")
        await router.ready()
        here.config.write_text(yaml.safe_dump(good))
        said = await asked(router)
        await router.post("/v1/feedback", {"decision_id": said, "value": True})
        await router.says("ended (exit code 1); starting it again")
        await learned(router)
        forget(here, router)
        await router.end()


async def asked(router: Router) -> str:
    """Ask once; return the decision's id."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Who is there?"}]}
    _, _, headers = await router.post("/v1/chat/completions", body)
    return headers["x-highwayman-decision"]


async def learned(router: Router) -> None:
    """Return once a version of the policy has learned from one statement."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                view = await router.get("/v1/policy")
                arms = view.get("arms", {})  # a worker that is just ending says that instead
                if sum(numbers["feedback"] for numbers in arms.values()):
                    return
            await asyncio.sleep(0.05)


async def asked_and_said(router: Router) -> Memory:
    """Ask once, say what was thought of it, and return what was acknowledged."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Who is there?"}]}
    _, _, headers = await router.post("/v1/chat/completions", body)
    name = headers["x-highwayman-decision"]
    _, found, _ = await router.post("/v1/feedback", {"decision_id": name, "value": True})
    memory = Memory(begun=[name])
    memory.acknowledge(name, found)
    return memory


async def ended(process: Process) -> int | None:
    """Return its exit code once it has ended by itself."""
    async with asyncio.timeout(WITHIN_S):
        while process.running:
            await asyncio.sleep(0.05)
    return process.code


def forget(here: World, failing: Process) -> None:
    """Leave it out of the audit, which allows for no traceback; its successor takes its name."""
    (here.folder / f"{failing.name}.log").unlink()
    here.routers[:] = [router for router in here.routers if router is not failing]
    here.learners[:] = [learner for learner in here.learners if learner is not failing]
