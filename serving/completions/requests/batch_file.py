"""Files of prompts, a JSON line each: OpenAI's batch lines, bodies of requests, or plain texts; and batches to send."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from highwayman.env.cost.objective import AUTO
from highwayman.env.errors import ConfigError
from highwayman.env.pool.profile import as_taken, upstream_body
from highwayman.env.types import Arm, JsonObject
from highwayman.serving.completions.requests.request import CHAT_PATH, COMPLETION_PATH, PARSERS, CompletionRequest
from highwayman.serving.http.validation import DEFAULT_LIMITS, BadRequest, parse_object

_OF_STREAMS: Final = ("stream", "stream_options")  # a batch has none


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One request of a file."""

    custom_id: str
    url: str
    request: CompletionRequest


def read_batch(path: Path) -> list[BatchLine]:
    """Return the requests in a file, in its order; one that does not name itself is called after its line.

    A line is one of OpenAI's batch lines (`custom_id`, `url`, `body`), the body of a chat (`messages`), an object with
    a `prompt`, which is a chat of this one message, or the prompt alone as a JSON string. The model a body names does
    not count.

    Raises:
        ConfigError: what is wrong, with the line it stands in; nothing of a prompt.
    """
    lines: list[BatchLine] = []
    numbers: dict[str, int] = {}
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                line = _parsed(raw, number)
            except BadRequest as error:
                raise ConfigError(f"{path}: line {number}: {error}") from None
            if numbers.setdefault(line.custom_id, number) != number:
                first = numbers[line.custom_id]
                raise ConfigError(f"{path}: line {number}: custom_id {line.custom_id!r} stands in line {first}, too")
            lines.append(line)
    if not lines:
        raise ConfigError(f"{path}: holds no prompt")
    return lines


def batch_line(line: BatchLine, arm: Arm) -> JsonObject:
    """Return OpenAI's batch line that asks an arm's own server, under its profile."""
    sent = as_taken(upstream_body(line.request.body, arm, chat=line.request.chat), arm)
    body = {key: value for key, value in sent.items() if key not in _OF_STREAMS}
    return {"custom_id": line.custom_id, "method": "POST", "url": line.url, "body": body}


def json_lines(objects: Iterable[JsonObject]) -> Iterator[bytes]:
    """Yield each object as a line of JSON."""
    for item in objects:
        yield json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _parsed(raw: bytes, number: int) -> BatchLine:
    """Return the request in a line. Raises BadRequest."""
    if raw.lstrip().startswith(b'"'):
        raw = b'{"prompt":' + raw.strip() + b"}"
    given = parse_object(raw)
    custom_id = given.get("custom_id", f"request-{number}")
    if not isinstance(custom_id, str) or not custom_id:
        raise BadRequest("custom_id: must be a string that is not empty")
    body, url = _body_and_url(given)
    if not isinstance(url, str) or url not in PARSERS:
        raise BadRequest(f"url: must be one of {', '.join(PARSERS)}")
    request = PARSERS[url](json.dumps({**body, "model": AUTO}).encode(), DEFAULT_LIMITS)
    return BatchLine(custom_id, url, request)


def _body_and_url(given: JsonObject) -> tuple[JsonObject, Any]:
    """Return the body of a request and where it is sent. Raises BadRequest."""
    if "body" in given:
        body = given["body"]
        if not isinstance(body, dict):
            raise BadRequest("body: must be an object")
        return body, given.get("url", CHAT_PATH if "messages" in body else COMPLETION_PATH)
    body = {key: value for key, value in given.items() if key != "custom_id"}
    if isinstance(body.get("prompt"), str) and "messages" not in body:
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    if "messages" not in body:
        raise BadRequest("must have a prompt, messages, or a body that has them")
    return body, CHAT_PATH
