"""The demonstration's view of a router: questions, thumbs and look-ups, through the API that every user has."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import JsonObject

_PATIENCE_S = 120.0  # with an answer
_OUTCOME_DEADLINE_S = 10.0
_TRIES = 4  # of what may be sent twice: thumbs and look-ups
_BETWEEN_TRIES_S = 0.5


class RouterAway(HighwaymanError):
    """No router answers."""


class RouterRefused(HighwaymanError):
    """A router answers with an error, or not as one does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, who said it, and under which decision."""

    text: str
    arm: str
    decision: str
    propensity: float


class RouterClient:
    """Asks, thumbs and looks up. Made within a running event loop."""

    def __init__(self, url: str, api_key: str | None = None, *, admin_url: str | None = None) -> None:
        """Take the router's address, without /v1, and that of the operator's routes where it is another one."""
        self._url, self._admin_url = url.rstrip("/"), (admin_url or url).rstrip("/")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=_PATIENCE_S))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def policy(self) -> JsonObject:
        """Return what GET /v1/policy says: the arms, in the pool's order, and what quality is worth in dollars."""
        policy: JsonObject = (await self._once("GET", f"{self._admin_url}/v1/policy"))[0]
        return policy

    async def ask(self, model: str, text: str) -> Answer:
        """Return the answer to `text`; `model` is an alias or the name of an arm.

        At temperature 0, so that the same arm asked again says the same and need not be asked again. It is sent once: a
        repeated request would be a second decision, and the first one's cost would go unseen.
        """
        body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0.0}
        completion, headers = await self._once("POST", f"{self._url}/v1/chat/completions", body)
        return Answer(
            text=completion["choices"][0]["message"]["content"] or "",
            arm=headers["x-highwayman-arm"],
            decision=headers["x-highwayman-decision"],
            propensity=float(headers["x-highwayman-propensity"]),
        )

    async def thumb(self, decision: str, *, up: bool) -> None:
        """Send a thumb for a decision."""
        await self._again(
            "POST", f"{self._url}/v1/feedback", {"decision_id": decision, "metric": "thumbs", "value": up}
        )

    async def outcome(self, decision: str) -> JsonObject:
        """Return the metered outcome of a decision; it is on the log a moment after the answer.

        Raises:
            RouterRefused: it does not come.
        """
        try:
            async with asyncio.timeout(_OUTCOME_DEADLINE_S):
                while True:
                    record, _ = await self._again("GET", f"{self._url}/v1/decisions/{decision}")
                    if record["outcome"] is not None:
                        outcome: JsonObject = record["outcome"]
                        return outcome
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise RouterRefused(f"{decision} has no outcome after {_OUTCOME_DEADLINE_S:g} s") from None

    async def _again(self, method: str, url: str, body: JsonObject | None = None) -> tuple[Any, Mapping[str, str]]:
        """Return what `_once` does, tried again where the connection broke."""
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                return await self._once(method, url, body)
            except RouterAway:
                if not tries_left:
                    raise
                await asyncio.sleep(_BETWEEN_TRIES_S)
        raise AssertionError("unreachable")

    async def _once(self, method: str, url: str, body: JsonObject | None = None) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON of an answer, and its headers.

        Raises:
            RouterAway: nothing answers.
            RouterRefused: it answers with an error.
        """
        try:
            async with self._session.request(method, url, json=body) as response:
                text = await response.text()
                if response.status >= 400:
                    raise RouterRefused(f"{url} answered {response.status}: {text[:500]}")
                return await response.json(), response.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RouterAway(f"no router answers at {url} ({type(error).__name__})") from error
        except ValueError as error:
            raise RouterRefused(f"{url} answered with no JSON: {text[:200]}") from error
