"""Looks at the tournament's scores about every second, and puts what follows on the log and in force."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from highwayman.env.errors import ConfigError
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.store import Store
from highwayman.feedback.tournament.ramp import (
    Ramp,
    RampRules,
    RampStep,
    next_step,
    promote_by_hand,
    rollback_by_hand,
)

_TRIES = 5

log = logging.getLogger(__name__)

Verdicts = Mapping[str, Mapping[str, Any]]


class Referee:
    """Takes the steps that follow from the verdicts; called by whoever holds a contender's lease."""

    def __init__(
        self, store: Store, publications: Mapping[str, Publications], rules: RampRules, clock: Callable[[], float]
    ) -> None:
        """Take the log, where each contender's score is published, the rules and a clock (s, epoch)."""
        self._store = store
        self._publications = publications
        self._rules = rules
        self._clock = clock

    async def __call__(self) -> None:
        """Take the next step, if there is one. Raises StoreUnavailable."""
        await self.take(lambda ramp, verdicts: next_step(ramp, verdicts, self._rules))

    async def verdicts(self) -> Verdicts:
        """Return what is published of each contender that has a score. Raises StoreUnavailable."""
        texts = {name: await publications.verdict() for name, publications in self._publications.items()}
        return {name: json.loads(text) for name, text in texts.items() if text}

    async def promote(self, name: str, *, at_once: bool, who: str = "") -> None:
        """Let a challenger in, since somebody asks; the log says who. Raises ConfigError, StoreUnavailable."""
        await self.take(
            lambda ramp, verdicts: promote_by_hand(
                ramp, name, self._rules, at_once=at_once, evidence=verdicts.get(name, {}), who=who
            )
        )

    async def rollback(self, *, who: str = "") -> None:
        """Take traffic back, or a promotion, since somebody asks. Raises ConfigError, StoreUnavailable."""
        await self.take(
            lambda ramp, verdicts: rollback_by_hand(
                ramp, evidence=verdicts.get(ramp.challenger or ramp.previous, {}), who=who
            )
        )

    async def take(self, choose: Callable[[Ramp, Verdicts], RampStep | None]) -> RampStep | None:
        """Put the step that is chosen in force, with its event; return it, None if there is none.

        Raises:
            ConfigError: others change the ramp all the time.
            StoreUnavailable: Redis does not answer.
        """
        for _ in range(_TRIES):
            before, verdicts = await self._store.ramp(), await self.verdicts()
            step = choose(Ramp.from_json(before, first=self._rules.first), verdicts)
            if step is None:
                return None
            after = step.ramp.to_json()
            if await self._store.put_ramp_change([step.control(self._clock())], before=before, after=after) is not None:
                log.warning("tournament: %s: %s; %s", step.step, step.reason, _in_words(step.ramp))
                return step
        raise ConfigError("others change who decides at the same time; look again")


def _in_words(ramp: Ramp) -> str:
    share = f", {ramp.challenger} for {ramp.share:.0%} of the traffic" if ramp.challenger else ""
    return f"{ramp.champion} decides{share}"
