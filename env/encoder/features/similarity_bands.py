"""How like a stored question is to the one asked, in steps that policies tell apart."""

from dataclasses import dataclass
from typing import Final

from highwayman.env.encoder.features.tags import Tag

TAG: Final = "answer_cache"
_BANDS: Final = 3


@dataclass(frozen=True, slots=True)
class SimilarityBands:
    """Of cosines in [least, 1], in equal parts, each of them a level of a tag."""

    least: float  # in (0, 1]

    def tag(self) -> Tag:
        """Return the tag; another least similarity is another tag."""
        step = (1.0 - self.least) / _BANDS
        return Tag(TAG, tuple(f"{band}:{self.least + band * step:.4f}" for band in range(_BANDS)))

    def place(self, similarity: float) -> tuple[str, int]:
        """Return the level of a similarity, as requests carry it."""
        share = (similarity - self.least) / (1.0 - self.least) if self.least < 1.0 else 1.0
        return TAG, min(max(int(share * _BANDS), 0), _BANDS - 1)
