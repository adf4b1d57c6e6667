"""Letters to doors: the payloads their senders really send, and one door of each kind."""

import hashlib
import hmac
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from highwayman.feedback.integrations.adapter import FeedbackAdapter, SignatureVerified, WebhookRequest

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_764_200_000.0
PAYLOADS = Path(__file__).with_name("payloads")


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def letter(route: str, body: Any = None, **parts: str) -> WebhookRequest:
    raw = json.dumps(body).encode() if body is not None else b""
    return WebhookRequest(route.partition(" ")[0], route, path_params=parts, body=body, raw=raw, at=NOW)


def signed(found: WebhookRequest, *, secret: str = SECRET, at: float = NOW) -> WebhookRequest:
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), b":".join((b"v0", stamp.encode(), found.raw)), hashlib.sha256).hexdigest()
    return replace(found, headers={"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"})


def required(kind: type) -> list[str]:
    """Return the options a door cannot be made without."""
    parameters = inspect.signature(kind).parameters.items()
    return [name for name, one in parameters if one.default is inspect.Parameter.empty]


def made(kind: type) -> FeedbackAdapter:
    """Return a door as configuration makes it with the fewest options."""
    wanted = {
        name for name, one in inspect.signature(kind).parameters.items() if one.default is inspect.Parameter.empty
    }
    door = kind(**dict.fromkeys(wanted, SECRET))
    assert isinstance(door, FeedbackAdapter)
    return door


def sent(door: FeedbackAdapter, found: WebhookRequest) -> WebhookRequest:
    """Return a letter as the door's own sender would send it."""
    return signed(found) if isinstance(door, SignatureVerified) else found
