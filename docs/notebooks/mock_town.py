"""Three mock models behind a started router, and questions whose answers are known: what the notebooks play with.

Nothing here is a model: each answers rightly with a probability of its own for each kind of question, so that it is known
what a router ought to learn. The router is the real one, started as `highwayman serve` starts it.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SKILL = {  # the chance of a right answer, by kind of question
    "abacus": {"sum": 0.95, "capital": 0.20, "review": 0.30},
    "atlas": {"sum": 0.20, "capital": 0.95, "review": 0.30},
    "scholar": {"sum": 0.35, "capital": 0.40, "review": 0.90},
}
USD_PER_MTOK = {"abacus": 0.1, "atlas": 0.1, "scholar": 2.0}

_CAPITALS = dict(
    pair.split(":")
    for pair in [
        "France:Paris",
        "Spain:Madrid",
        "Italy:Rome",
        "Norway:Oslo",
        "Japan:Tokyo",
        "Peru:Lima",
        "Egypt:Cairo",
        "Kenya:Nairobi",
        "Cuba:Havana",
        "Chile:Santiago",
        "Greece:Athens",
        "Austria:Vienna",
        "Poland:Warsaw",
        "Sweden:Stockholm",
        "Ireland:Dublin",
        "Portugal:Lisbon",
    ]
)
_PRAISE = ["wonderful", "charming", "delightful", "superb", "touching", "brilliant"]
_BLAME = ["dull", "tedious", "awful", "clumsy", "boring", "dreadful"]
_THINGS = ["film", "novel", "restaurant", "hotel", "concert", "play", "camera"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of some kind, with the answer that is right."""

    kind: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class StartedRouter:
    """Where it is, and the folder of all that it keeps."""

    base_url: str
    state: Path

    def command(self, *words: str) -> str:
        """Return what a `highwayman` command says that looks at this router's log."""
        command = [sys.executable, "-m", "highwayman.serving.cli.main", *words]
        plain = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.state, env=plain)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def questions(n: int, *, seed: int) -> list[Question]:
    """Return n questions of three kinds, in random order."""
    rng = random.Random(seed)
    return [_question(rng, rng.choice(("sum", "capital", "review"))) for _ in range(n)]


def _question(rng: random.Random, kind: str) -> Question:
    if kind == "sum":
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        return Question(kind, f"What is {a} plus {b}? Give the number only.", str(a + b))
    if kind == "capital":
        country = rng.choice(sorted(_CAPITALS))
        return Question(kind, f"What is the capital of {country}?", _CAPITALS[country])
    good = rng.random() < 0.5
    word = rng.choice(_PRAISE if good else _BLAME)
    return Question(
        kind, f"Is this review good or bad? The {rng.choice(_THINGS)} was {word}.", "good" if good else "bad"
    )


@contextmanager
def started_router(asked: list[Question], *, config: str = "", seed: int = 0) -> Iterator["StartedRouter"]:
    """Yield a router before the mock models, which know how to answer these questions; end both after."""
    with tempfile.TemporaryDirectory() as folder, _models(asked, seed) as models_url:
        home, port = Path(folder), _free_port()
        pool = {
            name: {"endpoint": models_url, "model": name, "context_window_tokens": 8192,
                   "usd_per_mtok_in": usd, "usd_per_mtok_out": usd}
            for name, usd in USD_PER_MTOK.items()
        }  # fmt: skip
        (home / "pool.yaml").write_text(json.dumps({"arms": pool}))  # JSON is YAML
        (home / "highwayman.yaml").write_text(config or "{}")
        command = [
            *(sys.executable, "-m", "highwayman.serving.cli.main", "serve", "--port", str(port), "--seed", str(seed)),
            *("--pool", str(home / "pool.yaml"), "--config", str(home / "highwayman.yaml"), "--state-dir", str(home)),
        ]
        with (home / "router.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as router:
            try:
                _wait(f"http://127.0.0.1:{port}/readyz", router, home / "router.log")
                yield StartedRouter(f"http://127.0.0.1:{port}/v1", home)
            finally:
                router.terminate()


@contextmanager
def _models(asked: list[Question], seed: int) -> Iterator[str]:
    """Yield the address of a server of all three models, which speaks OpenAI's chat."""
    known = {question.text: question for question in asked}
    rng, lock = random.Random(seed), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            question = known[body["messages"][-1]["content"]]
            with lock:
                right = rng.random() < SKILL[body["model"]][question.kind]
            words = question.answer if right else "I would rather talk about the weather."
            choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
            answer = {"id": "mock", "object": "chat.completion", "created": 0, "model": body["model"],
                      "choices": [choice], "usage": usage}  # fmt: skip
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def _wait(url: str, router: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the router answers. Raises RuntimeError with its last words if it ends before."""
    while router.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(log.read_text()[-2000:])
