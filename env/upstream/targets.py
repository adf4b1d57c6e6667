"""Whom a request may still be sent to, in the order in which they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm


@dataclass(frozen=True, slots=True)
class Target:
    """One replica of an arm."""

    arm: Arm
    endpoint: str


class Targets:
    """The replicas that a request has not been sent to."""

    def __init__(
        self, arms: Sequence[Arm], health: EndpointHealth, endpoints_in_order: Callable[[Arm], Sequence[str]]
    ) -> None:
        """Take the arms in the order in which they are tried, what is known of them, and what orders one's replicas."""
        self._health = health
        self._left = [Target(arm, endpoint) for arm in arms for endpoint in endpoints_in_order(arm)]

    @property
    def first(self) -> Target | None:
        """Whom to ask next: whoever may be asked; else whoever is least unwell, since trying beats refusing.

        None is left where nobody is, or where those who are have asked to be left alone.
        """
        target = next(filter(self._may_be_asked, self._left), None)
        if target is not None:
            return target
        others = [target for target in self._left if not self._asked_rest_s(target)]
        return min(others, key=lambda target: self._health.standing(target.endpoint, target.arm.model), default=None)

    def take(self, target: Target) -> Target | None:
        """Take a target out, and return who may be asked should it not answer; None: nobody but those who rest."""
        self._left.remove(target)
        return next(filter(self._may_be_asked, self._left), None)

    def keep(self, fits: Callable[[Arm], bool]) -> None:
        """Leave out the arms that are of no use to this request."""
        self._left = [target for target in self._left if fits(target.arm)]

    def asked_rest(self) -> tuple[float, int] | None:
        """Return for how many seconds those who are left want to be left alone, and the status they said so with."""
        rests = [self._health.asked_rest(target.endpoint, target.arm.model) for target in self._left]
        return min(rests, default=None)

    def _may_be_asked(self, target: Target) -> bool:
        return self._health.may_ask(target.endpoint, target.arm.model)

    def _asked_rest_s(self, target: Target) -> float:
        return self._health.asked_rest(target.endpoint, target.arm.model)[0]
