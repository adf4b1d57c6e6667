"""One router's server, from its start to the end of its drain."""

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from highwayman.env.errors import ConfigError
from highwayman.serving.app import Application
from highwayman.serving.http.access_log import AccessLog
from highwayman.serving.http.drain import Drain
from highwayman.serving.http.server import TELLING_S, DrainingServer, end_after_failure, server_config
from highwayman.serving.processes.admin_listeners import admin_listeners
from highwayman.serving.processes.hangup import on_hangup
from highwayman.serving.processes.workers import open_listeners
from highwayman.serving.services import BackgroundTaskFailed
from highwayman.serving.wiring.settings import Settings


async def run_router(
    settings: Settings,
    host: str,
    port: int,
    sockets: list[socket.socket] | None,
    *,
    access_log: bool = False,
    on_started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until told to end, on inherited sockets if there are any; `on_started` is called once it listens.

    Raises:
        ConfigError: the router cannot start on the port.
        BackgroundTaskFailed: a part of it has failed.
    """
    failed, drain, limits = asyncio.Event(), Drain(), settings.config.limits

    def fail() -> None:
        failed.set()
        end_after_failure(server)  # whoever keeps us up starts us again; answering on would leave clients waiting

    application = Application(replace(settings, drain=drain, on_failure=fail))
    server = DrainingServer(
        server_config(
            AccessLog(application, time.monotonic) if access_log else application,
            limits.connection_timeouts(),
            idle_s=limits.idle_s,
            host=host,
            port=port,
            timeout_graceful_shutdown=int(TELLING_S),
        ),
        drain,
        drain_s=limits.drain_s,
        on_started=on_started,
    )
    admin = settings.config.admin
    if admin is not None:
        public = sockets or open_listeners(host, port, sets=1)[0]
        sockets = [*public, *admin_listeners(admin.host, admin.port, shared=sockets is not None)]
    server.listen_for_signals()
    on_hangup(lambda: application.reload(f"SIGHUP at {socket.gethostname()}"))
    await server.serve(sockets)
    if not server.started:
        raise ConfigError(f"the router could not start on {host}:{port}; see above")
    if failed.is_set():
        raise BackgroundTaskFailed("a part of the router has failed; see above")
