"""The part of the configuration that says what callers tell of a request, beside its prompt."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from highwayman.env.encoder.features.tags import SLOTS, Tag
from highwayman.serving.config.strict import Strict

TagSource = tuple[Literal["header", "metadata", "key", "tenant", "app", "system_prompt"], str]

_NAMED = ("header", "metadata")
_WHOLE = ("key", "tenant", "app", "system_prompt")


def _source(text: str) -> str:
    """Return `text`. Raises ValueError where it names no place of a request."""
    kind, _, name = text.partition(":")
    if not ((kind in _NAMED and name) or text in _WHOLE):
        raise ValueError(f"must be header:NAME, metadata:NAME, {', '.join(_WHOLE[:-1])} or {_WHOLE[-1]}, got {text!r}")
    return text


class TagConfig(Strict):
    """A tag: where it stands in a request, and which of its levels are told apart."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)

    source: Annotated[str, AfterValidator(_source)] = Field(
        alias="from",
        description="Where it stands: `header:NAME`, `metadata:NAME`, `key`, `tenant`, `app` or `system_prompt`.",
    )
    levels: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="those told apart; without them, the first that come often"
    )
    slots: Annotated[int, Field(ge=1, le=512)] = Field(
        default=SLOTS, description="How many levels are told apart where none are given."
    )

    def tag(self, name: str) -> Tag:
        """Return it as features take it. Raises ValueError for a name that cannot be, or a level given twice."""
        return Tag(name, tuple(self.levels), self.slots)

    def place(self) -> TagSource:
        """Return where it stands: the kind of place, and the name there, in small letters where that is a header's."""
        kind, _, name = self.source.partition(":")
        return kind, name.lower() if kind == "header" else name  # type: ignore[return-value]  # checked above
