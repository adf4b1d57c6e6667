import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from highwayman.serving.http.access_log import AccessLog
from highwayman.serving.http.asgi import Receive, Scope, Send
from highwayman.serving.telemetry.json_logs import set_log_format


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler of the root logger writes as JSON; the handlers there were are as before, afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    root.handlers[:] = [logging.StreamHandler(stream)]
    root.setLevel(logging.INFO)
    set_log_format("json")
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_record_is_a_line_of_json_with_time_level_logger_and_message(written: io.StringIO) -> None:
    logging.getLogger("highwayman.x").warning("two\nlines and a %s", '"quote"')
    (line,) = lines(written)
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "warning", "logger": "highwayman.x", "message": 'two\nlines and a "quote"'}


def test_a_traceback_is_a_field_of_its_line(written: io.StringIO) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("highwayman.x").exception("it failed")
    (line,) = lines(written)
    assert line["message"] == "it failed"
    assert "ValueError: no" in line["traceback"]


async def test_a_request_is_logged_by_fields_without_its_query(written: io.StringIO) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-highwayman-decision", b"hw-1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def nothing(*_: Any) -> Any:
        return None

    clock = iter((1.0, 1.25))
    scope = {"type": "http", "method": "POST", "path": "/v1/x", "query_string": b"key=hush", "client": ("::1", 5)}
    await AccessLog(app, lambda: next(clock))(scope, nothing, nothing)
    (line,) = lines(written)
    fields = {name: line[name] for name in ("client", "method", "path", "status", "seconds", "decision")}
    assert fields == {"client": "::1", "method": "POST", "path": "/v1/x", "status": 200, "seconds": 0.25,
                      "decision": "hw-1"}  # fmt: skip
    assert "hush" not in written.getvalue()


def test_text_is_as_it_was(written: io.StringIO) -> None:
    set_log_format("text")
    logging.getLogger("highwayman.x").info("said")
    assert written.getvalue().endswith(" INFO highwayman.x: said\n")
