"""A call as a value: what is asked, and what its answer is read as. Each client sends the same calls in its own way."""

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from highwayman.client.errors import UnreadableAnswer

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `repeatable`: sent twice, it comes to the same, so that it may be sent again when no answer came."""

    method: str
    path: str  # below the base URL, quoted
    read: Callable[[Any], T]  # what the answer's JSON is read as
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    repeatable: bool = True

    def answered(self, content: bytes) -> T:
        """Return what the body of an answer says. Raises UnreadableAnswer where it is none that a router gives."""
        try:
            return self.read(json.loads(content))
        except ValueError as error:  # pydantic's are, too
            raise UnreadableAnswer(
                f"{self.method} {self.path} was answered with what no router says; is base_url the router's? "
                f"It begins {content[:80]!r}"
            ) from error


class SyncSender(ABC):
    """Whoever sends calls and waits for the answer."""

    @abstractmethod
    def send(self, call: Call[T]) -> T:
        """Return what the router answers. Raises RouterError."""


class AsyncSender(ABC):
    """Whoever sends calls and lets others run meanwhile."""

    @abstractmethod
    def send(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Return what the router answers. Raises RouterError."""


class method(Generic[P, T]):
    """A method that is written once, as the call it makes: of a sync sender it returns the answer, of an async one it
    is awaited.
    """

    def __init__(self, call: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, sender: SyncSender, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, sender: AsyncSender, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, sender: None, owner: type) -> "method[P, T]": ...
    def __get__(self, sender: SyncSender | AsyncSender | None, owner: type) -> Any:
        if sender is None:
            return self

        @functools.wraps(self._call)
        def sent(*args: P.args, **kwargs: P.kwargs) -> Any:
            return sender.send(self._call(sender, *args, **kwargs))

        return sent
