"""A part of a process that fails, by a fault of ours, ends the process: whoever keeps it up can start it again."""

import asyncio

import pytest
import yaml

from tests.faults.audit import audit
from tests.faults.clients import Memory
from tests.faults.processes import WITHIN_S, Process, Router, World, world

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
