"""An arm that fails leaves nothing behind: descriptors and tasks are where they were after each case."""

import time

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from tests.env.upstream.test_failover import CASES, CHAT, arm
from tests.leftovers import comes_back_to, held_at_rest
from tests.upstream_server import ANY, Say, ScriptedUpstream


async def test_no_failing_case_leaves_a_descriptor_or_a_task() -> None:
    limits = UpstreamTimeouts(first_byte_s=0.1, silence_s=0.1)
    upstream = Upstream(EndpointHealth(time.monotonic), time.monotonic, limits)
    await upstream.start()
    async with ScriptedUpstream() as bad, ScriptedUpstream() as well:
        well.script(ANY, Say("all is well"))
        arms = arm(bad, name="bad"), arm(well, name="well")

        for each in arms:  # a connection to each is kept from here on
            bad.script(ANY, Say())
            await (await upstream.open([each], CHAT, lambda arm: {"model": arm.model})).body()
        before = await held_at_rest()
        for failure, stream in CASES:
            bad.script(ANY, failure)
            asked = {"messages": [{"role": "user", "content": "Hello?"}], "stream": stream}
            answer = await upstream.open(arms, CHAT, lambda arm, asked=asked: {"model": arm.model, **asked})
            assert b"well" in await answer.body()
            descriptors, tasks = await comes_back_to(before)
            assert descriptors <= before[0], (failure, stream)
            assert tasks <= before[1], (failure, stream)
    await upstream.close()
