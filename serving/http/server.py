"""The HTTP server around an application: uvicorn with our limits, and with ends of our own.

Told to end, it takes no new requests at once, and what is under way has a while to finish. When a part of the
application has failed, the process ends within a second.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from highwayman.serving.http.drain import Drain
from highwayman.serving.http.protocol import ConnectionTimeouts, LimitedHttpProtocol

_ANNOUNCED_S = 5.0  # how long a draining router still answers new connections: then the port is its successor's
TELLING_S = 5.0  # for what was cut to be told
GRACE_S = 20.0  # what the end takes at most beside the drain: cutting, what is no answer (feedback), the log

_ORDERLY_S = 0.9  # for an end in order after a failure; then the process ends as it is
_STREAMS_S = 0.2  # of it, for answers under way

log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Ends on SIGTERM or SIGINT after a drain; on a second one, it cuts what is under way; on a third, at once."""

    def __init__(
        self, config: uvicorn.Config, drain: Drain, *, drain_s: float, on_started: Callable[[], None] = lambda: None
    ) -> None:
        """Take uvicorn's configuration, the drain its application knows of, how long that may last (s), and who is
        told when it listens.
        """
        super().__init__(config)
        self._on_started = on_started
        self._drain = drain
        self._drain_s = drain_s
        self._hurry = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    def listen_for_signals(self) -> None:
        """End on SIGTERM and SIGINT from now on, also before `serve` and after it. Needs the running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell so once it listens."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals to `listen_for_signals`."""
        return contextlib.nullcontext()

    def end(self, *, within_s: float) -> None:
        """Begin to end; what is under way may finish within so many seconds."""
        if self._ending is None:
            self._drain.begin()
            self._ending = asyncio.ensure_future(self._end(within_s))

    def _on_signal(self, number: signal.Signals) -> None:
        if self._ending is None:
            self.end(within_s=self._drain_s)
        elif not self._hurry.is_set():
            self._hurry.set()
        else:  # whoever asks three times wants no order
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    async def _end(self, within_s: float) -> None:
        closing = asyncio.get_running_loop().call_later(_ANNOUNCED_S, self._close_listeners)
        idle, hurry = asyncio.ensure_future(self._drain.wait_idle()), asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait({idle, hurry}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if self._drain.under_way:
                log.warning("%d answers under way are cut off", self._drain.under_way)
                self._drain.cut()
                await asyncio.wait({idle}, timeout=TELLING_S)
        finally:
            closing.cancel()
            idle.cancel()
            hurry.cancel()
            self.should_exit = True

    def _close_listeners(self) -> None:
        for server in getattr(self, "servers", ()):  # there are none before the start is over
            server.close()


def server_config(app: Any, timeouts: ConnectionTimeouts, *, idle_s: float, **options: Any) -> uvicorn.Config:
    """Return what uvicorn serves `app` with.

    Args:
        app: the ASGI application.
        timeouts: of its connections.
        idle_s: how long a connection may wait for its next request.
        options: others of uvicorn's.
    """
    protocol = type("HttpProtocol", (LimitedHttpProtocol,), {"timeouts": timeouts})
    return uvicorn.Config(
        app,
        interface="asgi3",  # which uvicorn takes a callable for only if it is a coroutine function
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        timeout_keep_alive=idle_s,  # type: ignore[arg-type]  # seconds for a timer
        **options,
    )


def end_after_failure(server: DrainingServer) -> None:
    """End the process within a second: in order if that can be, else at once, with an error.

    Answers under way are cut, and told so. A part that failed may have others wait for it for ever, or hold the loop;
    so a thread sees to the end. What was acknowledged is on the log or on the disk by then.
    """
    server.config.timeout_graceful_shutdown = _STREAMS_S  # type: ignore[assignment]  # seconds for a timer
    server.end(within_s=0.0)
    watch = threading.Timer(_ORDERLY_S, os._exit, (1,))
    watch.daemon = True
    watch.start()
