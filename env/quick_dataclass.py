"""Dataclasses of which every request makes some: frozen for the type checker, and not for the interpreter.

A frozen dataclass sets each of its fields by a call of `object.__setattr__`, which takes several times what
`self.x = x` does. Worth it only where a request makes such objects: elsewhere `dataclass(frozen=True)` guards more.
"""

from typing import TYPE_CHECKING

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:
    from dataclasses import dataclass

    def quick_dataclass(*, frozen: bool, slots: bool, eq: bool = True):
        """Return what makes such a dataclass of a class: equal, hashed and shown as the frozen one would be."""
        return dataclass(slots=slots, eq=eq, unsafe_hash=frozen and eq)
