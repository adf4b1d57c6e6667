"""What this process holds: descriptors and tasks, once that has come to rest."""

import asyncio
from pathlib import Path


def held() -> tuple[int, int]:
    """Return how many descriptors and tasks there are now."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


async def held_at_rest(*, still_s: float = 0.1, within_s: float = 10.0) -> tuple[int, int]:
    """Return how many there are once that has not changed for a while."""
    loop = asyncio.get_running_loop()
    last, since, deadline = held(), loop.time(), loop.time() + within_s
    while loop.time() - since < still_s and loop.time() < deadline:
        await asyncio.sleep(0.01)
        if held() != last:
            last, since = held(), loop.time()
    return last


async def comes_back_to(before: tuple[int, int], *, within_s: float = 10.0) -> tuple[int, int]:
    """Return what is held as soon as it is no more than `before`, or what it is after a while."""
    deadline = asyncio.get_running_loop().time() + within_s
    while any(now > then for now, then in zip(held(), before, strict=True)):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.005)
    return held()
