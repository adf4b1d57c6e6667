"""What routers of a namespace change together: a generation in Redis, which each of them follows."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import redis.asyncio as aioredis

from highwayman.env.atomic_write import write_atomically
from highwayman.env.errors import StoreUnavailable
from highwayman.env.pool.changes.pool_changes import ArmEdit, Changes
from highwayman.env.types import Control
from highwayman.feedback.log.events import encode
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys

_FRESH_S = 15.0  # for which a report stands
_AGAIN_S = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SharedState:
    """What has been changed, as it is in Redis."""

    generation: int = 0  # another one after each change
    reloads: int = 0  # how often files were to be read again
    changes: Changes = field(default_factory=dict)  # of arms, over the pool file
    refused: str = ""  # the last one that was, by what is wrong with it
    asked_by: str = ""  # who wants files to be read again, and has none; empty: whoever had them read has told it
    text: str = field(default="", compare=False)  # as Redis has it

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `as_json` wrote; what a newer version added is passed over. Raises ValueError, LookupError."""
        if not text:
            return cls()
        told = json.loads(text)
        changes = {name: ArmEdit(row["entry"], row["by"], row["at"]) for name, row in told["changes"].items()}
        return cls(
            told["generation"], told["reloads"], changes, told.get("refused", ""), told.get("asked_by", ""), text
        )

    def as_json(self) -> str:
        """Return it as JSON."""
        changes = {
            name: {"entry": change.entry, "by": change.by, "at": change.at} for name, change in self.changes.items()
        }
        told = {"generation": self.generation, "reloads": self.reloads, "changes": changes}
        return json.dumps({**told, "refused": self.refused, "asked_by": self.asked_by}, sort_keys=True)


class SharedConfig:
    """Reads and writes the state. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(self, client: "aioredis.Redis", namespace: str, state_folder: Path | None = None) -> None:
        """Take a client, the namespace, and where the state is kept for a start without Redis; None: nowhere."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        keys = Keys(namespace)
        self._log, self._in_force = keys("log"), keys("in_force")
        self._state, self._reports = keys("live"), keys("live_reports")
        self._scripts = Scripts(client, "put_control")
        self._unreadable = b""
        self._file = None if state_folder is None else state_folder / f"live-{quote(namespace, safe='')}.json"

    async def read(self) -> SharedState:
        """Return the state, that of generation 0 before any change.

        One that this release cannot read, since another one has written it, is told once and counts as none at all:
        what is in force here stays.
        """
        with redis_errors():
            data: bytes = await self._client.get(self._state) or b""
        try:
            return SharedState.parse(data.decode())
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if data != self._unreadable:
                log.error("%s is not as this release writes it; what was changed stays out: %s", self._state, error)
                self._unreadable = data
            raise StoreUnavailable(f"what was changed while routers ran ({self._state}) cannot be read here") from None

    async def put(
        self,
        before: SharedState,
        after: SharedState,
        controls: Sequence[Control] = (),
        in_force: tuple[str, str] | None = None,
    ) -> bool:
        """Write a state in place of another, with events on the log; return whether nobody was faster.

        Args:
            before: as it was read.
            after: as it is to be.
            controls: what the log records of it.
            in_force: what was announced as in force, and what is from now on; None: as before.
        """
        keys, args = [self._log, self._state], [before.text, after.as_json()]
        if in_force is not None:
            keys.append(self._in_force)
            args += in_force
        return await self._scripts.call("put_control", keys, [*args, *map(encode, controls)]) is not None

    async def report(self, worker: str, report: Mapping[str, Any]) -> None:
        """Say what a worker has taken."""
        with redis_errors():
            await self._client.hset(self._reports, worker, json.dumps(report))

    async def withdraw_report(self, worker: str) -> None:
        """Say no more of a worker that ends."""
        with redis_errors():
            await self._client.hdel(self._reports, worker)

    async def reports(self, now: float) -> dict[str, dict[str, Any]]:
        """Return what the workers that live have taken; of others nothing is kept."""
        with redis_errors():
            rows = await self._client.hgetall(self._reports)
            reports = {name.decode(): json.loads(data) for name, data in rows.items()}
            gone = [name for name, report in reports.items() if now - report["at"] > _FRESH_S]
            if gone:
                await self._client.hdel(self._reports, *gone)
        return {name: report for name, report in sorted(reports.items()) if name not in gone}

    async def everybody(self, generation: int, *, within_s: float) -> dict[str, dict[str, Any]]:
        """Return the reports once all workers have a generation; where they do not, after so many seconds."""
        until = time.monotonic() + within_s
        while True:
            reports = await self.reports(time.time())
            if time.monotonic() >= until or all(report["generation"] >= generation for report in reports.values()):
                return reports
            await asyncio.sleep(_AGAIN_S)  # nobody announces reports: who waits for them looks

    def kept(self) -> SharedState:
        """Return the state that this machine has kept, that of generation 0 where there is none that can be used."""
        try:
            return SharedState() if self._file is None else SharedState.parse(self._file.read_text())
        except FileNotFoundError:
            return SharedState()
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.error("what was changed of the pool cannot be used: %s", error)
            return SharedState()

    def keep(self, state: SharedState) -> None:
        """Keep a state on this machine, readable by the owner only."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._file, state.as_json().encode(), private=True)
        except OSError as error:
            log.warning("%s is not kept: %s", self._file.name, error.strerror)
