"""Which process runs on which core, so that what is measured meets neither its client nor the upstream."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

_ROOMY = 4  # cores: one each for client and upstream, two for the proxy


@dataclass(frozen=True, slots=True)
class Placement:
    """Cores by purpose."""

    client: frozenset[int]
    upstream: frozenset[int]
    proxy: frozenset[int]  # one core
    pair: frozenset[int]  # two, for two workers; the proxy's alone only if `roomy`
    roomy: bool


def placement() -> Placement:
    """Return what this process' cores allow: of fewer than four, client and upstream share one."""
    cores = sorted(os.sched_getaffinity(0))
    roomy = len(cores) >= _ROOMY
    client, upstream, first, second = (cores if roomy else [cores[0], cores[0], cores[-1], cores[0]])[:4]
    return Placement(frozenset({client}), frozenset({upstream}), frozenset({first}), frozenset({first, second}), roomy)


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run here until the block ends, and whatever is started in it for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
