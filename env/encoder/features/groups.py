"""Features by what they say, so that a policy can be told to look away from some of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from highwayman.env.encoder.features.features import NUMERIC_NAMES
from highwayman.env.encoder.features.tags import IMAGES, TagColumns
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Floats

_TEXT, _KIND = "text_", "near_"  # begin the names of the columns of a text's axes, and of the kinds it is near to


def feature_groups(names: Sequence[str], columns: TagColumns) -> dict[str, list[int]]:
    """Return the places of each group among the features: text, kinds, numbers, images, tags, and each tag's.

    Args:
        names: of all d features, in order, those of the tags first.
        columns: of the tags, and of what is measured.
    """
    groups: dict[str, list[int]] = {"tags": []}
    start = 0
    for tag in columns.tags:
        groups[f"tags.{tag.name}"] = list(range(start, start + tag.width))
        groups["tags"] += groups[f"tags.{tag.name}"]
        start += tag.width
    if columns.measured is not None:
        groups[IMAGES] = list(range(start, columns.width))
    own = [(place, name) for place, name in enumerate(names) if place >= columns.width]
    groups["text"] = [place for place, name in own if name.startswith(_TEXT)]
    groups["kinds"] = [place for place, name in own if name.startswith(_KIND)]
    groups["numbers"] = [place for place, name in own if name in NUMERIC_NAMES]
    return {name: places for name, places in groups.items() if places}


def kept_features(ignored: Iterable[str], names: Sequence[str], columns: TagColumns) -> Floats:
    """Return 1 for each feature that is looked at, 0 for those of groups that are not, (d,).

    Raises:
        ValueError: there is no such group; names the one that is probably meant.
    """
    groups, kept = feature_groups(names, columns), np.ones(len(names))
    for name in ignored:
        if name not in groups:
            known = ", ".join(groups)
            raise ValueError(f"there are no features {name!r}{did_you_mean(name, groups)}; there are {known}")
        kept[groups[name]] = 0.0
    return kept
