"""How confidential a request is, and where it may therefore go: what decides, calls and stores goes by this alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

ANYWHERE = None  # zones that are not restricted

_CLASS, _RULE, _ORIGIN = "data_class:", "privacy_rule:", "classed_by:"
_REDACTED = "redacted:"
_MASKED = "masked:"  # begins a context's flag that names an arm left out since its zone may not have such data
NOT_STORED = "not_stored"  # a context's flag: of such a class no prompt and no answer is kept
ENCODER_MASKED = "encoder_masked"  # a context's flag: the text part is missing, as its engine's zone may not have it
TELLING = (
    _CLASS,
    _RULE,
    _ORIGIN,
    _REDACTED,
    _MASKED,
    NOT_STORED,
)  # beginnings of flags that say nothing of how whole a context is


class DataClass(IntEnum):
    """How confidential something is, in rising order."""

    PUBLIC = 0
    INTERNAL = 1
    PERSONAL = 2
    SECRET = 3

    @property
    def label(self) -> str:
        """Its name in configurations, headers, on the log and in errors."""
        return self.name.lower()

    @classmethod
    def labelled(cls, text: str) -> "DataClass":
        """Return the class of that name. Raises ValueError naming those there are."""
        try:
            return cls[text.strip().upper()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(member.label for member in cls)}") from None


@dataclass(frozen=True, slots=True)
class Clearance:
    """What may be done with data of a class. It says nothing of the data itself."""

    data_class: DataClass
    zones: frozenset[str] | None = ANYWHERE  # whose arms may have it
    rule: str = ""  # the key of the configuration that says so; empty: none does
    origins: tuple[str, ...] = ()  # who says that it is of the class: caller, key, tenant, or what a detector knows
    is_stored: bool = True  # whether prompts and answers of the class may be kept
    redacted: tuple[str, ...] = ()  # kinds of what placeholders stand for
    flags: frozenset[str] = field(init=False, compare=False)  # of the decision's context: what the log says of it

    def __post_init__(self) -> None:
        """Write down what the log says."""
        told = {_CLASS + self.data_class.label, *(_ORIGIN + origin for origin in self.origins)}
        told |= {_RULE + self.rule} if self.rule else set()
        told |= {_REDACTED + kind for kind in self.redacted}
        object.__setattr__(self, "flags", frozenset(told if self.is_stored else {*told, NOT_STORED}))

    @property
    def says_nothing(self) -> bool:
        """Whether it is that of what is public, goes anywhere and is as it came: as if nobody had any rules."""
        is_free = self.zones is None and self.is_stored and not self.redacted
        return is_free and self.data_class is DataClass.PUBLIC

    def admits(self, zone: str) -> bool:
        """Return whether what lies in a zone may have the data."""
        return self.zones is None or zone in self.zones

    def objection(self) -> str:
        """Return why something outside its zones may not have the data, in words."""
        return f"may not have {self.data_class.label} data{self._origins()}: {self._rule()}"

    def refusal(self) -> str:
        """Return why nobody may, in words for whoever asked: class, who says so, and rule."""
        told = f"{self.data_class.label}{self._origins()}"
        return f"No arm that could answer may have this request, which is {told}: {self._rule()}."

    def _origins(self) -> str:
        return f" (so says: {', '.join(self.origins)})" if self.origins else ""

    def _rule(self) -> str:
        return f"rule {self.rule} allows {', '.join(sorted(self.zones or ())) or 'no zone'}"


def masked_flags(arms: Iterable[str]) -> frozenset[str]:
    """Return the flags that name arms which were left out."""
    return frozenset(_MASKED + arm for arm in arms)


def class_told_by(flags: Iterable[str]) -> DataClass:
    """Return the class that a context's flags tell, public where they say nothing."""
    told = [DataClass.labelled(flag.removeprefix(_CLASS)) for flag in flags if flag.startswith(_CLASS)]
    return max(told, default=DataClass.PUBLIC)


def told_by(flags: Iterable[str]) -> dict[str, object] | None:
    """Return what a context's flags say of its request's class, for people to read; None where they say nothing."""
    told = list(flags)

    def after(beginning: str) -> list[str]:
        return sorted(flag.removeprefix(beginning) for flag in told if flag.startswith(beginning))

    classes = after(_CLASS)
    if not classes:
        return None
    rules = after(_RULE)
    return {
        "class": classes[0],
        "rule": rules[0] if rules else None,
        "classed_by": after(_ORIGIN),
        "masked": after(_MASKED),
        "redacted": after(_REDACTED),
        "stored": NOT_STORED not in told,
    }
