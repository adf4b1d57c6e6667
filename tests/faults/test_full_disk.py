"""Redis away and the disk full: what cannot be kept is refused, and answers go on."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import WITHIN_S, Router, all_ready, world

DISK_BYTES = 2 << 20
LEFT_BYTES = 64 << 10  # what the spool finds


@pytest.mark.timeout(120)
async def test_on_a_full_disk_feedback_is_refused_answers_go_on_and_nothing_acknowledged_is_lost() -> None:
    async with world() as here:
        state = here.folder / "state"
        with small_disk(state) as mounted:
            router, learner = here.router(state=state), here.learner()
            await all_ready(router, learner)
            async with Clients([router.url], seed=6) as clients:
                await asyncio.sleep(1.0)
                here.valkey.kill()
                if mounted:
                    fill(state / "filler")
                else:
                    router.limit_files(LEFT_BYTES)
                memory = clients.memory
                await until(lambda: memory.refused >= 20)
                answered, refused = len(memory.waits), memory.refused
                await until(lambda: len(memory.waits) >= answered + 20 and memory.refused > refused)
                status, body, headers = await router.post(
                    "/v1/feedback", {"decision_id": memory.begun[0], "value": True}
                )
                assert (status, headers["retry-after"]) == (503, "1"), body
                assert "spool" in body["error"]["message"]
                here.valkey.start()
                await router.until(degraded=False, spooled_events=0)
                refused = memory.refused
                await asyncio.sleep(0.5)
                assert memory.refused == refused, "it takes feedback again"
            lost = await lost_decisions(router)
            found = await audit(here, memory, unlogged=int(lost))
            assert found.unlogged > 0
            router.kill()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small disk on the folder as long as the context lasts; yield whether that was allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full, but for a little."""
    size = 0
    with file.open("wb", buffering=0) as filler:
        try:
            while True:
                size += filler.write(b"x" * 4096)
        except OSError:
            filler.truncate(size - LEFT_BYTES)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.02)


async def lost_decisions(router: Router) -> float:
    return await router.counted("highwayman_degraded_events_total", event="decision", fate="lost")
