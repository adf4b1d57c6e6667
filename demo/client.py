"""The demonstration's view of a router: the official OpenAI client, and thumbs through the public API."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from openai import AsyncOpenAI

_OUTCOME_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, who said it, and under which decision."""

    text: str
    arm: str
    decision: str
    propensity: float


class RouterClient:
    """Asks, thumbs and looks up, through the API that every user has."""

    def __init__(self, url: str, api_key: str) -> None:
        # No retries: a repeated request would be a second decision, and the first one's cost would go unseen.
        self._openai = AsyncOpenAI(base_url=f"{url}/v1", api_key=api_key, max_retries=0, timeout=120.0)
        self._again = self._openai.with_options(max_retries=4)  # what may be sent twice: thumbs and look-ups

    async def close(self) -> None:
        """Close the connections."""
        await self._openai.close()

    async def arms(self) -> tuple[str, ...]:
        """Return the names of the pool's arms, in its order; GET /v1/policy lists arms and no aliases."""
        return tuple((await self._policy())["arms"])

    async def points_per_usd(self) -> float:
        """Return the points of quality that the router takes a dollar to be worth under `auto`."""
        return float((await self._policy())["objectives"]["auto"]["points_per_usd"])

    async def thumbs_so_far(self) -> int:
        """Return how much feedback the router has already learned from."""
        return sum(arm["feedback"] for arm in (await self._policy())["arms"].values())

    async def ask(self, model: str, text: str) -> Answer:
        """Return the answer to `text`; `model` is an alias or the name of an arm.

        At temperature 0, so that the same arm asked again says the same and need not be asked again.
        """
        raw = await self._openai.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": text}], temperature=0.0
        )
        completion, headers = raw.parse(), raw.headers
        return Answer(
            text=completion.choices[0].message.content or "",
            arm=headers["x-highwayman-arm"],
            decision=headers["x-highwayman-decision"],
            propensity=float(headers["x-highwayman-propensity"]),
        )

    async def thumb(self, decision: str, *, up: bool) -> None:
        """Send a thumb for a decision."""
        body = {"decision_id": decision, "metric": "thumbs", "value": up}
        await self._again.post("/feedback", body=body, cast_to=object)

    async def outcome(self, decision: str) -> dict[str, Any]:
        """Return the metered outcome of a decision; it is on the log a moment after the answer."""
        async with asyncio.timeout(_OUTCOME_DEADLINE_S):
            while True:
                found = await self._again.get(f"/decisions/{decision}", cast_to=object)
                outcome = cast(dict[str, Any], found)["outcome"]
                if outcome is not None:
                    return cast(dict[str, Any], outcome)
                await asyncio.sleep(0.02)

    async def _policy(self) -> dict[str, Any]:
        return cast(dict[str, Any], await self._again.get("/policy", cast_to=object))
