"""
title: Highwayman feedback
author: Highwayman
version: 0.1.0
license: Apache-2.0
description: Tells a Highwayman router of every thumb on its answers: given, changed or deleted.
required_open_webui_version: 0.10.0
"""

import asyncio
import logging
from typing import Any
from urllib.parse import quote

import aiohttp
from open_webui.models.feedbacks import Feedbacks
from pydantic import BaseModel, Field

_EVENTS = frozenset({"feedback.created", "feedback.updated", "feedback.deleted"})
_PAUSES_S = (1.0, 5.0, 30.0, 120.0)  # before the next try, while the router is away or asks to wait
_DATA = ("rating", "reason", "comment", "details")  # of a feedback; its snapshot, the whole chat, stays here

log = logging.getLogger(__name__)


class Event:
    """An event function: Open WebUI calls it with each of its events, of which those about feedback are heard."""

    class Valves(BaseModel):
        """What an administrator sets."""

        router_url: str = Field(default="http://127.0.0.1:8790", description="The router's address, without /v1.")
        api_key: str = Field(default="", description="A key of the router's with the scope `feedback`, if it has keys.")
        comments: bool = Field(default=True, description="Whether reasons and comments go along with the thumb.")

    def __init__(self) -> None:
        """Begin with the default valves."""
        self.valves = self.Valves()
        self._telling = asyncio.Lock()  # what is read later is told later

    async def event(self, event: dict[str, Any]) -> None:
        """Make the router say of a feedback what the database says of it now.

        An event names the feedback and nothing else that is needed (of 0.12.4: its rating, not its message). And what
        the database says is right whatever order events are heard in, and however often.
        """
        if event.get("event") not in _EVENTS:
            return
        feedback_id = str((event.get("subject") or {}).get("id") or "")
        for pause_s in (*_PAUSES_S, None):
            async with self._telling:
                why = await self._tell(feedback_id) if feedback_id else None
            if why is None:
                return
            if pause_s is None:
                log.error("the router was not told of feedback %s: %s", feedback_id, why)
                return
            await asyncio.sleep(pause_s)

    async def _tell(self, feedback_id: str) -> str | None:
        """Tell the router once; return why it has to be tried again, or None."""
        feedback = await Feedbacks.get_feedback_by_id(feedback_id)
        if feedback is not None and feedback.type != "rating":
            return None
        body = None if feedback is None else self._body(feedback)
        valves = self.valves
        url = f"{valves.router_url.rstrip('/')}/api/v1/evaluations/feedback/{quote(feedback_id, safe='')}"
        headers = {"authorization": f"Bearer {valves.api_key}"} if valves.api_key else {}
        timeout = aiohttp.ClientTimeout(total=30)
        method = "DELETE" if body is None else "POST"
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.request(method, url, json=body) as response,
            ):
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__
        if status == 429 or status >= 500:
            return f"status {status}"
        if status >= 400 and not (body is None and status == 404):  # what the router never knew is as good as deleted
            log.error("the router refuses feedback %s: status %d", feedback_id, status)
        return None

    def _body(self, feedback: Any) -> dict[str, Any]:
        """Return a feedback as Open WebUI's own API takes it, without the chat."""
        data, meta = feedback.data or {}, feedback.meta or {}
        told = {key: data[key] for key in _DATA if data.get(key) is not None}
        if not self.valves.comments:
            told = {key: value for key, value in told.items() if key not in ("reason", "comment")}
        return {
            "type": "rating",
            "user_id": feedback.user_id,
            "data": {"rating": None, **told},
            "meta": {key: meta[key] for key in ("message_id", "chat_id") if meta.get(key)},
        }
