"""Settles how confidential a request is: by its caller, its key, its tenant, and what a detector sees in it."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import pydantic_core

from highwayman.env.data_class import Clearance, DataClass
from highwayman.env.privacy.rules import PrivacyRules
from highwayman.env.privacy.texts import texts_of
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.completions.privacy.text_reader import DetectorFailed, TextReader
from highwayman.serving.completions.requests.request import CHAT_PATH, COMPLETION_PATH, PARSERS, CompletionRequest
from highwayman.serving.http.asgi import Scope, header
from highwayman.serving.http.validation import BadRequest, BodyLimits

HEADER = b"x-highwayman-data-class"
METADATA = "data_class"  # of a request's metadata
_AS_IT_CAME: Final = BodyLimits(sys.maxsize, sys.maxsize)  # of a body that has been let in already
_WORST: Final[Mapping[str, DataClass]] = {"detector_failed": DataClass.SECRET}  # seen by a detector that fails

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class DataGuard:
    """Knows the rules. Whoever says that something is confidential is believed; nobody makes it less so."""

    rules: PrivacyRules
    reader: TextReader | None  # None: nobody looks into requests
    default: DataClass
    unread: DataClass
    tenants: Mapping[str, DataClass]
    keys: Mapping[str, DataClass]
    redacted: frozenset[DataClass]  # classes of which placeholders go out
    encoder_zone: str | None  # where the encoder's engine is; None: here
    _frees_plain: bool = field(init=False)  # whether what nobody says anything of goes anywhere

    def __post_init__(self) -> None:
        """Note what holds for most requests."""
        object.__setattr__(self, "_frees_plain", self._clearance(self._defaults()).says_nothing)

    async def clear(
        self,
        request: CompletionRequest,
        scope: Scope,
        principal: Principal,
        *,
        redacts: bool = True,
        known: DataClass = DataClass.PUBLIC,
    ) -> CompletionRequest:
        """Return a request with what may be done with it; with placeholders, where these are wanted.

        Args:
            request: as it came.
            scope: in whose headers its caller says more.
            principal: who asks.
            redacts: whether placeholders may go out; not where somebody else sends the request on as it is.
            known: the class that it is at least of, as was settled before.

        Raises:
            BadRequest: for a class that is none.
        """
        if not known and self._is_plain(request, scope, principal):
            return request
        claims = [*self._claims(request.body, scope, principal), *([("decision", known)] if known else [])]
        if self.reader is None:
            return self._with(request, claims)
        texts = await self._aside(request, lambda: texts_of(request.body))
        if texts.has_unread or request.query.modalities:
            claims.append(("unread", self.unread))
        try:
            seen = await self.reader.kinds(texts.text)
            hidden = {kind for kind, data_class in seen.items() if redacts and data_class in self.redacted}
            if hidden:
                body, redaction = await self.reader.redacted(request.body, texts.text, self.redacted)
                left = await self._aside(request, lambda: texts_of(body))
                seen = await self.reader.kinds(left.text)  # what could not be replaced is still there
                parsed = await self._aside(request, lambda: self._parsed(request, body))
                request = replace(parsed, placeholders=redaction.values)
                return self._with(request, [*claims, *seen.items()], tuple(sorted(hidden - seen.keys())))
        except DetectorFailed:
            seen = _WORST
        return self._with(request, [*claims, *seen.items()])

    async def clearance(
        self, body: Mapping[str, Any], scope: Scope, principal: Principal, *, has_unread: bool
    ) -> Clearance:
        """Return what may be done with a body that is passed on as it is; `has_unread`: not all of it is in `body`.

        Raises BadRequest for a class that is none.
        """
        claims = self._claims(body, scope, principal)
        if self.reader is not None:
            texts = texts_of(body)
            claims += [("unread", self.unread)] if has_unread or texts.has_unread else []
            try:
                claims += (await self.reader.kinds(texts.text)).items()
            except DetectorFailed:
                claims += _WORST.items()
        return self._clearance(claims)

    async def raised(self, clearance: Clearance | None, *texts: str) -> Clearance:
        """Return what may be done with texts that belong to a cleared request, such as its answer."""
        clearance = clearance or self.rules.clearance(DataClass.PUBLIC)
        if self.reader is None or clearance.data_class is DataClass.SECRET:
            return clearance
        try:
            seen = await self.reader.kinds("\n".join(texts))
        except DetectorFailed:
            seen = _WORST
        highest = max(seen.values(), default=DataClass.PUBLIC)
        if highest <= clearance.data_class:
            return clearance
        return self.rules.clearance(highest, tuple(sorted(kind for kind in seen if seen[kind] == highest)))

    def may_encode(self, request: CompletionRequest) -> bool:
        """Return whether the encoder's engine may have a request's text."""
        clearance = request.query.clearance
        return self.encoder_zone is None or clearance is None or clearance.admits(self.encoder_zone)

    def may_look_up(self, request: CompletionRequest) -> bool:
        """Return whether an answer to a request may be stored, and a stored one looked for, by vectors of its text."""
        clearance = request.query.clearance
        is_stored = clearance is None or (clearance.is_stored and not request.placeholders)
        return is_stored and self.may_encode(request)

    def _is_plain(self, request: CompletionRequest, scope: Scope, principal: Principal) -> bool:
        """Return whether nobody says anything of a request, and nothing is seen in it: most are such, and are spared.

        False also where that takes a while, or cannot be told.
        """
        if not self._frees_plain or request.is_large or request.query.modalities or "metadata" in request.body:
            return False
        if header(scope, HEADER) is not None or principal.tenant in self.tenants or principal.key_id in self.keys:
            return False
        return self.reader is None or self.reader.sees_nothing(request.body)

    def _defaults(self) -> list[tuple[str, DataClass]]:
        return [("default", self.default)] if self.default else []

    def _claims(self, body: Mapping[str, Any], scope: Scope, principal: Principal) -> list[tuple[str, DataClass]]:
        """Return who says which class a request is of, without having looked into it. Raises BadRequest."""
        claims = self._defaults()
        for name, claim in (
            ("caller", _declared(body, scope)),
            ("tenant", self.tenants.get(principal.tenant)),
            ("key", self.keys.get(principal.key_id)),
        ):
            if claim is not None:
                claims.append((name, claim))
        return claims

    def _with(
        self, request: CompletionRequest, claims: Sequence[tuple[str, DataClass]], redacted: tuple[str, ...] = ()
    ) -> CompletionRequest:
        clearance = self._clearance(claims, redacted)
        if clearance.says_nothing:  # which is most requests: they stay as they are
            return request
        return replace(request, query=replace(request.query, clearance=clearance))

    def _clearance(self, claims: Sequence[tuple[str, DataClass]], redacted: tuple[str, ...] = ()) -> Clearance:
        highest: DataClass = DataClass.PUBLIC
        origins: tuple[str, ...] = ()
        if claims:
            highest = max(claim for _, claim in claims)
            origins = tuple(sorted(name for name, claim in claims if claim == highest)) if highest else ()
        return self.rules.clearance(highest, origins, redacted)

    @staticmethod
    async def _aside(request: CompletionRequest, read: Callable[[], _Result]) -> _Result:
        """Return what is read of a request's body, of a large one beside the event loop."""
        return await asyncio.to_thread(read) if request.is_large else read()

    @staticmethod
    def _parsed(request: CompletionRequest, body: Mapping[str, Any]) -> CompletionRequest:
        """Return the request of another body: all that is read of it is read anew."""
        path = CHAT_PATH if request.chat else COMPLETION_PATH
        return PARSERS[path](pydantic_core.to_json(body), _AS_IT_CAME)


def _declared(body: Mapping[str, Any], scope: Scope) -> DataClass | None:
    """Return the class that a caller gives, the highest of headers and metadata. Raises BadRequest for any other."""
    metadata, given = body.get("metadata"), []
    if header(scope, HEADER) is not None:
        given += [(HEADER.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name == HEADER]
    if isinstance(metadata, dict) and metadata.get(METADATA) is not None:
        given.append((f"metadata.{METADATA}", metadata[METADATA]))
    return max([_class_in(place, value) for place, value in given]) if given else None


def _class_in(place: str, value: object) -> DataClass:
    try:
        return DataClass.labelled(value if isinstance(value, str) else "")
    except ValueError as error:
        raise BadRequest(f"{place}: {error}", param=place) from None
