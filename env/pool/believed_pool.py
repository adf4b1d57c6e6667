"""A pool's arms as they are believed to be now, as vectors: what every request asks is computed once a belief."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Arm, Floats, Query

Rule = Callable[[Arm, Query, int], str | None]
Server = tuple[str, str]  # an endpoint, and the model that is asked for there
Bools = npt.NDArray[np.bool_]
LEAST_ANSWER_TOKENS = 16


class Answerable(NamedTuple):
    """The K arms that may answer a query, of a pool's; the rest of what is asked of them follows from their places."""

    arms: tuple[Arm, ...]
    names: tuple[str, ...]
    places: npt.NDArray[np.intp] | None  # (K,) in the pool; None: they are all of it
    resting: tuple[str, ...] = ()  # arms that could answer, but whose servers rest


class BelievedPool:
    """Of n arms, in the pool's order. It is made anew whenever something else is believed of one."""

    def __init__(
        self, arms: Sequence[Arm], believed: Sequence[Arm], serving: Sequence[Collection[str]],
        *, form_rules: Sequence[Rule], other_rules: Sequence[Rule],
    ) -> None:  # fmt: skip
        """Take what is believed.

        Args:
            arms: as the pool file has them.
            believed: the same arms, with the windows and tools that are believed.
            serving: each arm's endpoints that may serve its model.
            form_rules: those whose word hangs on a query's form alone: what it holds, not how long it is.
            other_rules: those beside it that the window is not all of.
        """
        names = tuple(arm.name for arm in arms)
        self.all = Answerable(tuple(arms), names, None)
        self.unserved = [k for k, endpoints in enumerate(serving) if not endpoints]
        # By endpoint: the arms that it may serve, by all servers that may, and the model that is asked for there.
        self.served_by: dict[str, dict[tuple[Server, ...], list[int]]] = {}
        for k, (arm, endpoints) in enumerate(zip(arms, serving, strict=True)):
            servers = tuple((endpoint, arm.model) for endpoint in endpoints)
            for endpoint in endpoints:
                self.served_by.setdefault(endpoint, {}).setdefault(servers, []).append(k)
        self._believed = tuple(believed)
        self._form_rules, self._other_rules = form_rules, other_rules
        self._windows: Floats = np.array([float(arm.context_window_tokens) for arm in believed])
        limits = [arm.profile.max_tokens for arm in believed]
        self._limits: Floats = np.array([np.inf if limit is None else float(limit) for limit in limits])
        self._answers: Floats = np.where(np.isinf(self._limits), LEAST_ANSWER_TOKENS, self._limits)
        self._least_window = float(self._windows.min())
        self._least_room = float((self._windows - self._answers).min())  # for a prompt, where no answer is limited
        self._allowed: dict[tuple[object, ...], tuple[Bools, bool]] = {}  # by the form of a query: which, whether all

    def able(self, query: Query, prompt_tokens: int | Floats) -> Bools:
        """Return which arms no rule refuses, (n,), for a prompt of so many tokens at each, (n,) or all alike."""
        room = query.answer_room
        answers = self._answers if room is None else np.minimum(self._limits, float(room))
        able: Bools = (answers + prompt_tokens) <= self._windows
        able &= self._allowed_by_form(query)[0]
        if self._other_rules:
            tokens = np.broadcast_to(prompt_tokens, able.shape).tolist()
            for k in np.flatnonzero(able).tolist():
                able[k] = all(rule(self._believed[k], query, int(tokens[k])) is None for rule in self._other_rules)
        return able

    def at(self, places: Bools, *, resting: Bools | None = None) -> Answerable:
        """Return the arms at the places that are true, (n,)."""
        if np.logical_and.reduce(places):
            return self.all
        chosen, (arms, names, _, _) = np.flatnonzero(places), self.all
        return Answerable(
            tuple(arms[k] for k in chosen.tolist()),
            tuple(names[k] for k in chosen.tolist()),
            chosen,
            () if resting is None else tuple(names[k] for k in np.flatnonzero(resting).tolist()),
        )

    def takes_all(self, query: Query, most_tokens: int) -> bool:
        """Return whether it is plain that no rule refuses any arm, for a prompt of at most so many tokens at each."""
        asked = query.answer_room
        room = self._least_room if asked is None else self._least_window - asked
        return most_tokens <= room and self._allowed_by_form(query)[1] and not self._other_rules

    def _allowed_by_form(self, query: Query) -> tuple[Bools, bool]:
        """Return which arms no rule refuses for a query's form, (n,), and whether those are all."""
        zones = None if query.clearance is None else query.clearance.zones
        form = query.modalities, query.images > 0, query.tools > 0, query.plain_text, zones, query.allowed
        if form not in self._allowed:
            by_arm = [all(rule(arm, query, 0) is None for rule in self._form_rules) for arm in self._believed]
            self._allowed[form] = np.array(by_arm), all(by_arm)
        return self._allowed[form]
