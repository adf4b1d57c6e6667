from dataclasses import dataclass, replace

import pytest

from highwayman.env.quick_dataclass import quick_dataclass


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    size: int = 1


@quick_dataclass(frozen=True, slots=True)
class Quick:
    name: str
    size: int = 1


@quick_dataclass(frozen=True, slots=True, eq=False)
class Apart:
    name: str


def test_it_is_made_compared_hashed_shown_and_replaced_as_a_frozen_one_is() -> None:
    assert hash(Quick("a", 2)) == hash(Frozen("a", 2))
    assert Quick("a") == Quick("a", 1) != replace(Quick("a"), size=2)
    assert repr(Quick("a")) == repr(Frozen("a")).replace("Frozen", "Quick")
    assert Apart("a") != Apart("a")


def test_it_has_no_room_for_what_nobody_declared() -> None:
    with pytest.raises(AttributeError):
        Quick("a").colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Quick("a", 1, 2)  # type: ignore[call-arg]
