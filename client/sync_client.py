"""The client that waits: on the standard library's HTTP, so that a script loads nothing else and has no event loop."""

import http.client
import json
import selectors
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import urlsplit

from highwayman.client.call import Call, SyncSender
from highwayman.client.decision import SyncDecision
from highwayman.client.endpoint import endpoint
from highwayman.client.errors import ConnectionFailed, RequestTimedOut, RouterError, status_error
from highwayman.client.feedback_methods import FeedbackMethods, said
from highwayman.client.results import ListedDecision, Receipt
from highwayman.client.router_methods import RouterMethods, Wanted
from highwayman.client.statement import HasId, Statement, decision_id_of

T = TypeVar("T")


class Client(FeedbackMethods, RouterMethods, SyncSender):
    """A router, asked from ordinary code. Threads may share it; its connections are kept until `close`."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        retry_wait_s: float = 0.5,
    ) -> None:
        """Take where the router is and a key, else HIGHWAYMAN_BASE_URL and HIGHWAYMAN_API_KEY; `timeout` in seconds.

        Raises ValueError for an address that is none.
        """
        self.endpoint = endpoint(base_url, api_key, timeout=timeout, max_retries=max_retries, retry_wait_s=retry_wait_s)
        parts = urlsplit(self.endpoint.base_url)
        self._host, self._port = str(parts.hostname), parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[http.client.HTTPConnection] = []  # a thread takes one and puts it back

    def __repr__(self) -> str:
        return f"Client({self.endpoint.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def send(self, call: Call[T]) -> T:
        """Return what the router answers, asked again where that is safe and may help. Raises RouterError."""
        repeated = 0
        while True:
            try:
                return call.answered(self._answer(call))
            except RouterError as error:
                wait_s = self.endpoint.wait_s(call, error, repeated)
                if wait_s is None:
                    raise
            time.sleep(wait_s)
            repeated += 1

    def decision_of(self, answer: str | HasId) -> SyncDecision:
        """Return the decision that made an answer, to speak of it. Raises ValueError where none did."""
        return SyncDecision(decision_id_of(answer), self)

    def say_all(self, statements: Sequence[Statement], *, at_once: int = 8) -> list[Receipt | RouterError]:
        """Say many things, some side by side; return of each, in their order, the receipt or why it was refused."""
        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(self._said, statements))

    def each_decision(self, **wanted: Unpack[Wanted]) -> Iterator[ListedDecision]:
        """Go through the decisions, newest first, page by page."""
        page = self.decisions(**wanted)
        yield from page.data
        while page.has_more:
            page = self.decisions(after=page.next, **wanted)
            yield from page.data

    def _said(self, statement: Statement) -> Receipt | RouterError:
        try:
            return self.send(said(statement))
        except RouterError as error:
            return error

    def _answer(self, call: Call[Any]) -> bytes:
        """Return the answer's body. Raises RouterError."""
        connection = self._connection()
        try:
            status, headers, content = _exchange(connection, call, self.endpoint.target(call), self.endpoint.headers())
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if status >= 400:
            raise status_error(status, content, headers.get("retry-after"))
        return content

    def _connection(self) -> http.client.HTTPConnection:
        """Return a connection that is open. Raises ConnectionFailed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.sock is not None and not _has_said_something(connection.sock):
                return connection
            connection.close()  # the router has closed its end, or said what nobody asked
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.endpoint.timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self.endpoint.timeout_s, context=self._tls
            )
        try:
            connection.connect()
        except OSError as error:
            raise ConnectionFailed(f"no router at {self.endpoint.base_url}: {error}", sent=False) from error
        return connection


def _has_said_something(sock: socket.socket) -> bool:
    """Return whether there is something to read, if only the end; `select` knows 1,024 files, and others more."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _exchange(
    connection: http.client.HTTPConnection, call: Call[Any], target: str, headers: Any
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Return status, headers and body of the answer. Raises ConnectionFailed."""
    try:
        connection.request(call.method, target, None if call.body is None else json.dumps(call.body), headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    except TimeoutError as error:
        raise RequestTimedOut(f"no answer to {call.method} {target} in time", sent=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionFailed(f"{call.method} {target} was cut off: {type(error).__name__}", sent=True) from error
