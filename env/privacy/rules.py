"""Which class of data may go to which zone: what an operator has written down, looked up by class."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from highwayman.env.data_class import ANYWHERE, Clearance, DataClass

_KEPT = 1_024


class PrivacyRules:
    """The zones allowed to each class, and the highest class that may be stored."""

    def __init__(self, zones: Mapping[DataClass, Iterable[str]], *, stored: DataClass) -> None:
        """Take the zones by class.

        A class that is not named is under the rule of the next lower one that is: more confidential data is never freer
        for want of a rule. Below the lowest that is named, data may go anywhere.
        """
        self.zones = {data_class: frozenset(allowed) for data_class, allowed in zones.items()}
        self.stored = stored
        self.clearance = lru_cache(_KEPT)(self._clearance)  # most requests are alike in this

    def _clearance(
        self, data_class: DataClass, origins: tuple[str, ...] = (), redacted: tuple[str, ...] = ()
    ) -> Clearance:
        """Return what may be done with data of a class, which `origins` say it is of; `redacted` is gone from it."""
        named = [ruled for ruled in self.zones if ruled <= data_class]
        rule, zones = "", ANYWHERE
        if named:
            ruled = max(named)
            rule, zones = f"privacy.classes.{ruled.label}", self.zones[ruled]
        return Clearance(data_class, zones, rule, origins, data_class <= self.stored, redacted)
