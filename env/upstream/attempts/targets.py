"""Whom a request may still be sent to, in the order in which they are asked."""

from collections.abc import Callable, Sequence

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Arm


@quick_dataclass(frozen=True, slots=True)
class Target:
    """One replica of an arm."""

    arm: Arm
    endpoint: str


class Targets:
    """The replicas that a request has not been sent to."""

    def __init__(
        self, arms: Sequence[Arm], health: EndpointHealth, endpoints_in_order: Callable[[Arm], Sequence[str]]
    ) -> None:
        """Take the arms in the order in which they are tried, what is known of them, and what orders one's replicas.

        An arm's replicas are put in order only when somebody before it has not answered: most requests need one arm.
        """
        self._health = health
        self._endpoints_in_order = endpoints_in_order
        self._arms = list(arms)  # whose replicas have not been put in order so far
        self._left: list[Target] = []  # of the arms before

    @property
    def first(self) -> Target | None:
        """Whom to ask next: whoever may be asked; else whoever is least unwell, since trying beats refusing.

        None is left where nobody is, or where those who are have asked to be left alone.
        """
        target = self._first_well()
        if target is not None:
            return target
        others = [target for target in self._left if not self._asked_rest_s(target)]
        return min(others, key=lambda target: self._health.standing(target.endpoint, target.arm.model), default=None)

    def take(self, target: Target) -> Target | None:
        """Take a target out, and return who may be asked should it not answer; None: nobody but those who rest."""
        self._left.remove(target)
        return self._first_well()

    def give_back(self, target: Target) -> None:
        """Let a target be asked once more, before the others."""
        self._left.insert(0, target)

    def keep(self, fits: Callable[[Arm], bool]) -> None:
        """Leave out the arms that are of no use to this request."""
        self._left = [target for target in self._left if fits(target.arm)]
        self._arms = [arm for arm in self._arms if fits(arm)]

    def asked_rest(self) -> tuple[float, int] | None:
        """Return for how many seconds those who are left want to be left alone, and the status they said so with."""
        rests = [self._health.asked_rest(target.endpoint, target.arm.model) for target in self._left]
        return min(rests, default=None)

    def _first_well(self) -> Target | None:
        """Return the first that may be asked; None: nobody may, and all are among those left."""
        targets = self._left
        while True:
            for target in targets:
                if self._health.may_ask(target.endpoint, target.arm.model):
                    return target
            if not self._arms:
                return None
            arm = self._arms.pop(0)
            targets = [Target(arm, endpoint) for endpoint in self._endpoints_in_order(arm)]
            self._left += targets

    def _asked_rest_s(self, target: Target) -> float:
        return self._health.asked_rest(target.endpoint, target.arm.model)[0]
