"""What tells that a text holds something confidential, and the protocol of whoever does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from highwayman.env.data_class import DataClass


@dataclass(frozen=True, slots=True)
class Detection:
    """A stretch of a text that is confidential."""

    kind: str  # such as email: it stands on the log
    data_class: DataClass
    start: int  # in characters
    end: int


class Detector(Protocol):
    """Reads texts. `detect` blocks; one of the user's own is called from a thread, one text at a time.

    What it raises, or takes too long for, makes a request `secret`. One that needs no more than some microseconds says
    so by an attribute `inline = True`: it is called in the event loop for short texts.
    """

    def detect(self, text: str) -> Iterable[Detection]:
        """Return what is confidential in a text, in any order; stretches may overlap."""
