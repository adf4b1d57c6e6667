"""A judge that draws every case, and behaviours of its server."""

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiohttp import web

from highwayman.env.types import Arm
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.judge.judge import LlmJudge
from highwayman.feedback.judge.settings import JudgeSettings
from tests.feedback.judge.cases import arm
from tests.upstream_server import Behaviour, Body, Fail

OTHER = arm("other")


@dataclass(frozen=True, slots=True)
class Answered:
    """Answer 200 with `body`."""

    body: Any

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        return web.Response(text=json.dumps(self.body), content_type="application/json")


@dataclass(frozen=True, slots=True)
class Picky:
    """Answer 400 to whatever has one of these keys, and `say` to the rest."""

    keys: tuple[str, ...]
    say: Behaviour

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        refused = any(key in body for key in self.keys)
        return await (Fail(400, "unknown field") if refused else self.say).serve(request, body)


def judge(upstream: Upstream, *arms: Arm, **settings: Any) -> LlmJudge:
    return LlmJudge(
        upstream=upstream,
        arms=arms,
        settings=JudgeSettings(**{"rate": 1.0, "timeout_s": 5.0, **settings}),
        clock=lambda: 1e9,
        timer=time.perf_counter,
        entropy=secrets.token_bytes,
        rng=np.random.default_rng(0),
    )
