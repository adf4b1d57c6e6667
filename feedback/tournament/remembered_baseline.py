"""What a control slice takes of every policy's traffic: a challenger would have to give it, too."""

from typing import Any

import numpy as np

from highwayman.env.types import Decision, Floats

_MOST = 512  # tenants times sets of arms that are remembered


class RememberedBaseline:
    """Probabilities that a control slice's baseline gave, as decisions before have told, by tenant and set of arms.

    A decision tells that of the arm drawn only. What a challenger is mixed with is settled by those before it, so that
    what its mixture earns is estimated without bias whatever is remembered; it is the true mixture as soon as each arm
    of the baseline was drawn once.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._probs: dict[tuple[str, ...], dict[str, float]] = {}

    def mixed(self, decision: Decision, challenger: Floats) -> Floats:
        """Return what would be drawn from if a challenger decided, (K,), the control slice's draws among it."""
        draw = decision.context.control
        if draw is None:
            return challenger
        known = self._probs.get((decision.tenant, *decision.arms), {})
        weights = np.array([known.get(arm, 0.0) for arm in decision.arms])
        total = float(weights.sum())
        baseline = weights / total if total > 0 else decision.probs
        mixture: Floats = (1.0 - draw.share) * challenger + draw.share * baseline
        return mixture

    def observe(self, decision: Decision) -> None:
        """Remember what a decision tells of the baseline."""
        draw = decision.context.control
        if draw is None:
            return
        key = (decision.tenant, *decision.arms)
        if key not in self._probs and len(self._probs) >= _MOST:
            self._probs.clear()
        known = self._probs.setdefault(key, {})
        if draw.baseline_prob >= 1.0:  # so the others have nothing
            known.clear()
        known[decision.arm] = draw.baseline_prob

    def state(self) -> list[Any]:
        """Return what is remembered."""
        return [[list(key), known] for key, known in self._probs.items()]

    def restore(self, state: list[Any]) -> None:
        """Go on from it."""
        self._probs = {tuple(key): known for key, known in state}
