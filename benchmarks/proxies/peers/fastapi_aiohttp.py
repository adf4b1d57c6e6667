"""FastAPI and aiohttp passing everything on, what a proxy costs in Python's usual libraries: the yardstick."""

import sys
from pathlib import Path

from benchmarks.proxies.peer import Launch, Site
from benchmarks.proxies.peers import fastapi_app

_ROOT = Path(__file__).parents[3]


class FastApiAiohttp:
    """`fastapi_app.py` under uvicorn, with uvloop and httptools, as the router is served."""

    name = "FastAPI + aiohttp"

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        app = ["-m", "uvicorn", f"{fastapi_app.__name__}:app", "--app-dir", str(_ROOT), "--no-access-log"]
        options = ["--port", str(site.port), "--loop", "uvloop", "--http", "httptools", "--log-level", "error"]
        return Launch([sys.executable, *app, *options], "/health", env={"UPSTREAM": site.upstream})
