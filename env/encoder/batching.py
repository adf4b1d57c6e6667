"""One worker thread that answers calls in batches: what arrives while a batch runs forms the next one."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class BacklogFull(Exception):
    """More calls wait than the backlog allows."""


class Batcher(Generic[Key, Answer]):
    """Runs `work` on lists of distinct keys, one list at a time, off the caller's thread.

    There is no artificial wait: a lone call forms a batch of one. A call whose future was cancelled before its batch
    began is left out; the others of its batch never notice. The thread starts with the first call.
    """

    def __init__(self, work: Callable[[Sequence[Key]], Sequence[Answer]], *, limit: int, backlog: int) -> None:
        """Take `limit` keys a batch at most, and refuse calls while `backlog` of them wait."""
        self._work, self._limit, self._backlog = work, limit, backlog
        self._waiting: deque[tuple[Key, Future[Answer]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.batches = 0  # begun so far

    def submit(self, key: Key) -> Future[Answer]:
        """Return the future answer to `key`.

        Raises:
            BacklogFull: too many calls wait.
            RuntimeError: the batcher is closed.
        """
        future: Future[Answer] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("closed")
            if len(self._waiting) >= self._backlog:
                raise BacklogFull(f"{self._backlog} calls wait already")
            self._waiting.append((key, future))
            self._start()
            self._changed.notify()
        return future

    def close(self, *, timeout_s: float = 1.0) -> None:
        """Fail what waits and end the thread, waiting at most `timeout_s` for a batch that runs. Idempotent."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(RuntimeError("closed"))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="highwayman-encoder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while batch := self._take():
            self._serve(batch)

    def _take(self) -> dict[Key, list[Future[Answer]]]:
        """Return the futures of the next batch by key; empty when closed."""
        batch: dict[Key, list[Future[Answer]]] = {}
        with self._changed:
            while not batch and not self._closed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                while self._waiting and len(batch) < self._limit:
                    key, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.setdefault(key, []).append(future)
        return batch

    def _serve(self, batch: dict[Key, list[Future[Answer]]]) -> None:
        self.batches += 1
        try:
            answers = self._work(list(batch))
            for futures, answer in zip(batch.values(), answers, strict=True):
                for future in futures:
                    future.set_result(answer)
        except Exception as error:
            for future in (future for futures in batch.values() for future in futures if not future.done()):
                future.set_exception(error)
