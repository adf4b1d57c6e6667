"""Has texts looked at by a detector, in time; one that fails has seen the worst."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection, Detector
from highwayman.env.privacy.redaction import Redaction
from highwayman.env.privacy.texts import replaced, texts_of

_FEW_CHARS: Final = 8_000  # read in the event loop: a thread takes longer
_THREADS: Final = 4  # a detector that hangs in all of them makes every request secret, and stops nothing else

log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class DetectorFailed(Exception):
    """Nobody knows what a text holds."""


class TextReader:
    """Knows of texts what is confidential in them, by kind."""

    def __init__(self, detector: Detector, kinds: Mapping[str, DataClass], *, timeout_s: float) -> None:
        """Take the detector, the classes of kinds that are not its own, and the seconds it may take."""
        self._detector = detector
        self._kinds = kinds
        self._timeout_s = timeout_s
        self._inline = bool(getattr(detector, "inline", False))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="detector")

    def close(self) -> None:
        """Start nothing any more, and wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def sees_nothing(self, body: Mapping[str, Any]) -> bool:
        """Return whether nothing is in a body, as far as that can be told at once: else `kinds` tells what there is."""
        if not self._inline:
            return False
        texts = texts_of(body)
        if texts.has_unread or len(texts.text) > _FEW_CHARS:
            return False
        try:
            return not self._detector.detect(texts.text)
        except Exception:  # it fails in `kinds`, too, where that is told
            return False

    async def kinds(self, text: str) -> Mapping[str, DataClass]:
        """Return what a text holds, with the class of each kind. Raises DetectorFailed."""
        return await self._in_time(lambda: self._kinds_in(text), len(text))

    async def redacted(
        self, body: Mapping[str, Any], text: str, classes: frozenset[DataClass]
    ) -> tuple[dict[str, Any], Redaction]:
        """Return a body with placeholders for what is of these classes. Raises DetectorFailed.

        Args:
            body: of a request.
            text: all that stands in it.
            classes: of what is replaced.
        """
        redaction = Redaction(text)

        def replace(part: str) -> str:
            detections = [each for each in self._detector.detect(part) if self._class_of(each) in classes]
            return redaction.redacted(part, detections) if detections else part

        return await self._in_time(lambda: replaced(body, replace), len(text)), redaction

    def _kinds_in(self, text: str) -> dict[str, DataClass]:
        kinds: dict[str, DataClass] = {}
        for detection in self._detector.detect(text):
            kinds[detection.kind] = max(self._class_of(detection), kinds.get(detection.kind, DataClass.PUBLIC))
        return kinds

    def _class_of(self, detection: Detection) -> DataClass:
        return self._kinds.get(detection.kind, detection.data_class)

    async def _in_time(self, read: Callable[[], _Result], chars: int) -> _Result:
        try:
            if self._inline and chars <= _FEW_CHARS:
                return read()
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, _guarded, read)
        except Exception as error:  # whatever a detector may raise; its message may quote what it has read
            kind = str(error) if isinstance(error, DetectorFailed) else type(error).__name__
            log.warning("the detector failed with %s: what it was to read counts as secret", kind)
            raise DetectorFailed(kind) from None


def _guarded(read: Callable[[], _Result]) -> _Result:
    """Return what is read. Raises DetectorFailed, also for what would end a process, such as SystemExit."""
    try:
        return read()
    except BaseException as error:
        raise DetectorFailed(type(error).__name__) from None
