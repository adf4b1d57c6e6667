"""A small real HTTP server that takes vLLM's command line, so that supervision can be tested without vLLM.

Run as `PYTHON fake_vllm.py -m MODULE --port P ... [--fail-when FILE]`: it answers /health and chats, tells its process
id at /pid and its environment at /environment, and ends at once with a message when FILE exists.
"""

import http.server
import json
import os
import sys
from pathlib import Path


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/pid":
            self.answer(str(os.getpid()).encode())
        elif self.path == "/environment":
            self.answer(json.dumps(dict(os.environ)).encode())
        else:
            self.answer(b"{}", 200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print("warmed up:", body["model"], body["logprobs"], flush=True)
        self.answer(b"{}")

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    failing = option("--fail-when")
    if failing and Path(failing).exists():
        sys.exit("ValueError: no such model")
    http.server.ThreadingHTTPServer(("127.0.0.1", int(option("--port") or 0)), Handler).serve_forever()
