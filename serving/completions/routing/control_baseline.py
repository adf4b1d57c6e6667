"""Which control slice takes part in a tenant's decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from highwayman.bandit.control_slice import ControlSlice
from highwayman.env.types import Arm, ArmState
from highwayman.feedback.fold.tally import Tally


@dataclass(slots=True)
class ControlBaseline:
    """A share of the draws, and the baseline that takes them: given, or the best constant arm so far."""

    share: float
    weights: Mapping[str, float] | None  # by arm; None: the best constant arm, by tenant
    arms: tuple[Arm, ...]  # of the pool
    _tally: Tally | None = field(default=None, init=False)
    _slices: dict[str, ControlSlice | None] = field(default_factory=dict, init=False)  # by tenant, for that tally

    def slice_for(self, tenant: str, tally: Tally) -> ControlSlice | None:
        """Return a tenant's slice; None while too little is known to say which constant arm is the best."""
        if self.weights is not None:
            tenant = ""
        elif tally is not self._tally:
            self._tally = tally
            self._slices.clear()
        if tenant not in self._slices:
            weights = self.weights or self._best_constant(tenant, tally)
            self._slices[tenant] = None if weights is None else ControlSlice(self.share, weights)
        return self._slices[tenant]

    def _best_constant(self, tenant: str, tally: Tally) -> Mapping[str, float] | None:
        """Return the arm that would have earned most, of those that are neither tried out nor on their way out."""
        active = (arm.name for arm in self.arms if arm.state is ArmState.ACTIVE)
        best = tally.control.of(tenant).best_constant(active)
        return None if best is None else {best: 1.0}
