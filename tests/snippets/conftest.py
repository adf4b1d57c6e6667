"""One router with the local pool, for the commands of all pages, and its own state folder."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Shell:
    """Where commands are run: a router's address, one of its decisions, the environment that finds its log."""

    address: str
    decision: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`highwayman up` on a free port; its state is where commands look for it unless they are told."""
    state, port = tmp_path_factory.mktemp("state"), free_port()
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(state),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "80",
        "CURL_HOME": str(state),
    }
    (state / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")  # or it ends well whatever comes back
    log = (state / "up.log").open("wb")
    command = ["highwayman", "up", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=state) as process:
        try:
            address = f"127.0.0.1:{port}"
            wait_until_ready(f"http://{address}/readyz", process)
            yield Shell(address, a_decision_at(address), environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


def a_decision_at(address: str) -> str:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]})
    request = urllib.request.Request(
        f"http://{address}/v1/chat/completions", body.encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.headers["x-highwayman-decision"])


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("highwayman up did not get ready")
