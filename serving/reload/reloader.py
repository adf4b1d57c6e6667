"""One worker's side of a change: files read again, checked, announced to all; and what others announce, taken."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.pool.changes.pool_changes import Changes
from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.config_events import config_changes
from highwayman.feedback.log.store import Store
from highwayman.serving.reload.arm_edits import Edit
from highwayman.serving.reload.config_files import LoadedFiles
from highwayman.serving.reload.live_config import Change, LiveConfig, told
from highwayman.serving.reload.live_keys import differences
from highwayman.serving.reload.shared_state import SharedConfig, SharedState
from highwayman.serving.state.announced_config import parse_announcement

_EVERY_S = 0.25  # between two looks at what others have changed
_REPORT_EVERY_S = 5.0
_OTHERS = "another worker or a command"  # in place of who wanted a change, who has told
_TRIES = 5  # where others change something at the same time

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What a worker has for it."""

    check: Callable[[LiveConfig], Sequence[str]]  # returns what of it needs a restart; raises ConfigError
    use: Callable[[LiveConfig], None]  # between two requests; never raises
    describe: Callable[[LiveConfig], str]  # what is announced of it as in force
    on_reload: Callable[[bool], None] = lambda taken: None  # called with whether what was to be put in force was


class Reloader:
    """Keeps a worker in step with its files, and with the other workers."""

    def __init__(
        self,
        running: LiveConfig,
        state: SharedState,
        *,
        shared: SharedConfig,
        store: Store,
        parts: LiveParts,
        worker: str,
    ) -> None:
        """Take what is in force.

        Args:
            running: what the files said that the worker was started with, with what lies over it.
            state: of the workers' changes.
            shared: where those are.
            store: where what is in force is announced.
            parts: of the worker.
            worker: its name, for reports.
        """
        self.running = running
        self._files, self._state = running.loaded.files, state
        self._shared, self._store, self._parts, self._worker = shared, store, parts, worker
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        is_read = self._files.stamp() == running.loaded.stamp
        self._requested = [] if is_read else [f"a change of {self._files} during a start"]  # by whom
        self._seen = self._tried = running.loaded.stamp  # at the last look; when it was last tried to read them
        self._untold = ""  # by whom there was a change of which the others have not heard
        self._error = ""  # why this worker has not taken what others have
        self._reported: tuple[object, ...] = ()
        self._reported_at = 0.0

    @property
    def generation(self) -> int:
        """Of the workers' changes: the last that this one knows of."""
        return self._state.generation

    def request(self, by: str) -> None:
        """Have the files read again, now."""
        if by not in self._requested:
            self._requested.append(by)
        self._wake.set()

    async def run(self) -> None:
        """Follow files, requests and other workers until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._look()
                except StoreUnavailable as error:
                    log.debug("what others change is not known: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_S):
                        await self._wake.wait()
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self._shared.withdraw_report(self._worker)

    async def reload(self, by: str) -> Change:
        """Read the files again, put them in force, and have all workers do so; the old stays where they cannot be.

        Without Redis this worker goes on with them alone, and tells the others when it is back.

        Raises:
            ConfigError: what is wrong with the files; that is on the log.
        """
        async with self._one_at_a_time:
            self._tried = self._files.stamp()
            try:
                loaded = await asyncio.to_thread(self._files.load)
                try:
                    return await self._change(by, loaded, lambda _, changes: changes, reloads=1)
                except StoreUnavailable as error:
                    return await self._change_alone(by, loaded, error)
            except ConfigError as error:
                self._error = str(error)
                await self._refuse(by, error)
                raise

    async def edit(self, by: str, edit: Edit) -> Change:
        """Change arms, with all workers.

        Raises:
            ConfigError: why that cannot be; nothing is changed.
            StoreUnavailable: Redis does not answer, and nothing is changed.
        """
        async with self._one_at_a_time:
            try:
                return await self._change(by, self.running.loaded, edit)
            except ConfigError as error:
                await self._refuse(by, error)
                raise

    async def everybody(self, generation: int, *, within_s: float) -> dict[str, dict[str, Any]]:
        """Return what each worker has taken, once all have taken a generation; where they do not, after a while."""
        return await self._shared.everybody(generation, within_s=within_s)

    async def _change(self, by: str, loaded: LoadedFiles, edit: Edit, *, reloads: int = 0) -> Change:
        for _ in range(_TRIES):
            state, before = await self._shared.read(), await self._store.active_config()
            live = await self._planned(loaded, edit(loaded.pool.entries, state.changes))
            after = self._parts.describe(live)
            changed = differences(self._announced(before, state), live.as_told())
            controls = config_changes(before, after, at=time.time(), by=by, changed=changed)
            if reloads and not changed and before == after and state.reloads > self._state.reloads:
                return await self._use(live, state, by=by)  # another worker was told, too, and was faster
            count, reload_count = state.generation + 1, state.reloads + reloads
            new_state = SharedState(count, reload_count, live.changes)
            if await self._shared.put(state, new_state, controls, (before, after)):
                return await self._use(live, replace(new_state, text=new_state.as_json()), by=by)
        raise StoreUnavailable("others change what is in force at the same time")

    async def _change_alone(self, by: str, loaded: LoadedFiles, away: StoreUnavailable) -> Change:
        """Go on with files while nobody else can hear of it. Raises ConfigError."""
        live = await self._planned(loaded, self.running.changes)
        if not self._untold:
            log.warning("%s: the other workers hear of it when Redis is back (%s)", by, away)
        self._untold = by
        return await self._use(live, self._state, by=by)

    def _announced(self, in_force: str, state: SharedState) -> dict[str, Any]:
        """Return what all were told last, as it may be shown; what this worker runs with, where that is nothing."""
        announced = parse_announcement(in_force, self.running.config.namespace)
        if announced is None or not announced.is_whole or announced.pool is None:
            return self.running.as_told()
        settings = {**announced.settings, "namespace": announced.namespace}
        return told(settings, announced.pool, state.changes)

    async def _planned(self, loaded: LoadedFiles, changes: Changes) -> LiveConfig:
        return await asyncio.to_thread(self.running.after, loaded, changes, self._parts.check)

    async def _use(self, live: LiveConfig, state: SharedState, *, by: str) -> Change:
        """Put it in force here, at once."""
        changed, is_told = differences(self.running.as_told(), live.as_told()), state is not self._state
        change = Change(state.generation if is_told else 0, changed, live.needs_restart)
        before = self.running
        if (live.config, live.arms, live.loaded.pool) != (before.config, before.arms, before.loaded.pool):
            self._parts.use(live)
        self._parts.on_reload(True)
        if changed or not (self._untold or by == _OTHERS):
            log.info("%s: %s", by, change)
        self.running, self._state, self._error = live, state, ""
        if is_told:
            self._untold = ""
            await asyncio.to_thread(self._shared.keep, state)
        return change

    async def _refuse(self, by: str, error: ConfigError) -> None:
        """Tell that what is in force stays; the log says it once."""
        log.error("%s: what was in force stays: %s", by, error)
        self._parts.on_reload(False)
        with contextlib.suppress(StoreUnavailable):
            state = await self._shared.read()
            if state.refused != str(error):
                control = Control(time.time(), ControlKind.CONFIGURATION, {"by": by, "refused": str(error)})
                await self._shared.put(state, replace(state, refused=str(error)), [control])

    async def _look(self) -> None:
        requested, self._requested = self._requested, []
        for by in requested:
            with contextlib.suppress(ConfigError):  # it is told
                await self.reload(by)
        if self._untold:
            await self._tell_late()
        await self._watch()
        await self._follow()
        await self._report()

    async def _tell_late(self) -> None:
        """Tell the others of a change that they have not heard of. Raises StoreUnavailable while Redis is away."""
        await self._shared.read()
        try:
            await self.reload(self._untold)
        except ConfigError:  # the files have become wrong meanwhile: whoever mends them tells of all of it
            self._untold = ""

    async def _watch(self) -> None:
        """Read files again that have changed, once whoever writes them is done."""
        if self.running.config.reload != "on_change":
            return
        stamp, before = self._files.stamp(), self._seen
        self._seen = stamp
        if stamp == before and stamp not in (self.running.loaded.stamp, self._tried):
            with contextlib.suppress(ConfigError):  # it is told
                await self.reload(f"a change of {self._files}")

    async def _follow(self) -> None:
        """Take what other workers have changed, or give them back what Redis has lost."""
        state, own = await self._shared.read(), self._state
        if state == own:  # as nearly always
            self._state = state
            return
        if state.asked_by and state.reloads > own.reloads:
            self._state = state
            with contextlib.suppress(ConfigError):  # it is told
                await self.reload(state.asked_by)
            return
        async with self._one_at_a_time:
            state, own = await self._shared.read(), self._state
            if state.generation < own.generation:
                await self._shared.put(state, own)
            elif (state.reloads, state.changes) == (own.reloads, own.changes):
                self._state = state
            else:
                await self._take(state)

    async def _take(self, state: SharedState) -> None:
        stamp, loaded = self._files.stamp(), self.running.loaded
        try:
            if state.reloads != self._state.reloads and stamp != loaded.stamp:
                loaded = await asyncio.to_thread(self._files.load)
            live = await self._planned(loaded, state.changes)
        except ConfigError as error:
            log.error("others have changed what is in force; it stays as it was here: %s", error)
            self._parts.on_reload(False)
            self._state, self._error = state, str(error)
        else:
            await self._use(live, state, by=_OTHERS)

    async def _report(self) -> None:
        """Say what this worker has taken, for whoever waits for that."""
        told, now = (self.generation, self._error, self.running.needs_restart), time.time()
        if told == self._reported and now - self._reported_at < _REPORT_EVERY_S:
            return
        report = {"at": now, "generation": told[0], "error": told[1], "needs_restart": [*told[2]]}
        await self._shared.report(self._worker, report)
        self._reported, self._reported_at = told, now
