"""What people, a judge and clients say of answers in the made-up world, and when."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import DEFAULT_TENANT, Decision, Feedback

LIAR = "k_bot"  # the key of a client that calls everything bad, until it is in quarantine
_RATED, _JUDGED, _SEEN, _STARRED, _REVISED, _WORDS = 0.3, 0.08, 0.2, 0.04, 0.03, 0.02  # shares of the answers


@dataclass(frozen=True, slots=True)
class Statements:
    """Makes feedback, drawing from `rng`."""

    rng: np.random.Generator

    def about(self, decision: Decision, *, good: bool, user: str, lies: bool, quarantined: bool) -> Iterator[Feedback]:
        """Yield what is said of an answer.

        Args:
            decision: of the answer.
            good: whether it is good.
            user: the pseudonym of the person who asked.
            lies: whether it was asked by the client whose key is `LIAR`.
            quarantined: whether that key is in quarantine by then.
        """
        if lies:
            yield self._said(decision, 2.0, "app", "thumbs", 0.0, key=LIAR, quarantined=quarantined)
            return
        key = "" if decision.tenant == DEFAULT_TENANT else "k_acme"
        if self.rng.random() < _RATED:
            # Most say it within minutes, some on the next day.
            wait_s = float(self.rng.lognormal(3.8, 1.4)) if self.rng.random() < 0.94 else self.rng.uniform(2e4, 6e4)
            thumb = float(good if self.rng.random() < 0.95 else not good)
            yield self._said(decision, wait_s, "user", "thumbs", thumb, user=user, key=key)
            if self.rng.random() < _REVISED:
                revised = None if self.rng.random() < 0.3 else 1.0 - thumb
                yield self._said(decision, wait_s + 40.0, "user", "thumbs", revised, user=user, key=key)
        if self.rng.random() < _STARRED:
            stars = float(np.clip(round(self.rng.normal(4.2 if good else 1.9, 0.7)), 1, 5))
            yield self._said(decision, 90.0, "user", "rating", stars, user=user, key=key)
        if self.rng.random() < _JUDGED:
            score = float(np.clip(self.rng.normal(0.8 if good else 0.35, 0.15), 0.0, 1.0))
            yield self._said(decision, 4.0, "judge", "judge", score)
        if not good and self.rng.random() < _SEEN:
            yield self._said(decision, 25.0, "implicit", "regenerated", 1.0)
        elif good and self.rng.random() < _SEEN:
            yield self._said(decision, 12.0, "app", "copied", 1.0, key=key)
        if self.rng.random() < _WORDS:
            words = "Just what I needed." if good else "Not what I asked for."
            yield self._said(decision, 60.0, "user", "comment", 1.0, user=user, key=key, text=words)

    def _said(  # noqa: PLR0913, PLR0917  (the event's fields)
        self, decision: Decision, wait_s: float, source: str, metric: str, value: float | None,
        *, user: str = "", key: str = "", text: str = "", quarantined: bool = False,
    ) -> Feedback:  # fmt: skip
        own_id = base64.urlsafe_b64encode(self.rng.bytes(9)).decode()
        return Feedback(
            own_id, decision.id, decision.at + wait_s, source, metric, value, user=user, key=key, text=text,
            quarantined=quarantined,
        )  # fmt: skip
