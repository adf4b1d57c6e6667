"""How much feedback on answers still counts in a gate: as long ago as it is, and for an arm that has changed."""

from collections.abc import Mapping
from typing import Any, Self

from highwayman.bandit.drift.arm_discounts import ArmDiscounts
from highwayman.bandit.drift.forgetting import NEW_CLOCK, Forgetting
from highwayman.bandit.policy import HalfLife


class GateClock:
    """Weighs changes of sums as a policy's posterior does (`ArmPosterior`), and keeps what later changes need of it."""

    def __init__(self) -> None:
        """Start without a half-life and without an arm that has changed."""
        self._half_life: HalfLife | None = None
        self._forgetting: Forgetting | None = None
        self._state: Mapping[str, Any] | None = None  # of the clock, as long as nobody has said how fast it runs
        self._discounts = ArmDiscounts()

    def set_half_life(self, half_life: HalfLife | None) -> None:
        """Let feedback fade so from now on; where it was another before, the clock begins anew.

        Raises ValueError for one that cannot be.
        """
        if half_life == self._half_life:
            return
        self._half_life = half_life
        self._forgetting = None if half_life is None else Forgetting.from_half_life(*half_life)
        if self._forgetting is not None:
            self._forgetting.restore(self._state or NEW_CLOCK)
        self._state = None

    def weigh(self, arm: str, at: float, *, new: bool) -> tuple[float, float]:
        """Return what feedback on an answer counts, as `Gates.weigh` does."""
        fades = 1.0 if self._forgetting is None else self._forgetting.weight(at, new=new)
        return fades, self._discounts.share(arm, at)

    def due(self) -> bool:
        """Return whether enough time has passed for what is known to be made to fade."""
        return self._forgetting is not None and self._forgetting.due()

    def rebase(self) -> float:
        """Return the factor by which everything learned so far is to be multiplied, once."""
        return 1.0 if self._forgetting is None else self._forgetting.rebase()

    def discount(self, arm: str, share: float) -> None:
        """Let answers of an arm, decided up to the latest one seen, count for a share. Raises ValueError."""
        self._discounts.add(arm, share)

    def to_json(self) -> dict[str, Any]:
        """Return what is to be written of it; empty where nothing fades and no arm has changed."""
        clock = self._state if self._forgetting is None else self._forgetting.state()
        doubts = self._discounts.state()
        fading = {} if clock is None else {"fading": dict(clock)}
        return {**fading, "doubts": doubts} if doubts["newest"] else fading

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote. Raises ValueError if it is damaged."""
        clock = cls()
        clock._state = state.get("fading")
        if "doubts" in state:
            clock._discounts.restore(state["doubts"])
        return clock
