"""Small figures of one kind beside one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from highwayman.pages.charts import Figure


@dataclass(frozen=True, slots=True)
class Multiples:
    """Figures that are read against each other, under one title, with one legend."""

    figures: Sequence[Figure]
    title: str = ""
    caption: str = ""
    legend: Mapping[str, str] = field(default_factory=dict)  # colors by name
