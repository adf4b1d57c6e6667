"""How much one key, and one person, may weigh in a tenant's latest feedback."""

import heapq
from dataclasses import dataclass

_NOTHING = 1e-6
_SWEEP_EVERY = 4096  # statements between two looks for who has faded away
_MOST = 100_000  # contributors remembered; beyond, those that weigh least are forgotten, who are far below any cap


@dataclass(frozen=True, slots=True)
class InfluenceCaps:
    """Shares of a tenant's latest evidence; None: all of it."""

    key_share: float | None = None
    person_share: float | None = 0.25
    grace: float = 200.0  # weight that anybody may have: no person presses thumbs so often
    half_life_s: float = 86_400.0


@dataclass(slots=True)
class _Sum:
    """A weight that fades."""

    weight: float = 0.0
    at: float = 0.0

    def now(self, at: float, half_life_s: float) -> float:
        return float(self.weight * 0.5 ** (max(at - self.at, 0.0) / half_life_s))

    def add(self, more: float, at: float, half_life_s: float) -> None:
        self.weight, self.at = self.now(at, half_life_s) + more, max(at, self.at)


class InfluenceLimiter:
    """Weighs statements as they come, by one router's account of the last days.

    A contributor's weight, after the statement, is at most the larger of `grace` and share / (1 - share) times what all
    others of the tenant weigh: at most `share` of the whole, then, and at any later time, as all weights fade alike. A
    statement that replaces another has that one's weight: it is not to be weighed again. Several routers share an
    account in Redis (`SharedInfluence`); without it each goes by its own, which begins anew with it.
    """

    def __init__(self, caps: InfluenceCaps, *, most: int = _MOST) -> None:
        """Take the caps, and how many contributors to remember."""
        self._caps = caps
        self._most = most
        self._tenants: dict[str, _Sum] = {}
        self._own: dict[tuple[str, str, str], _Sum] = {}  # by tenant, key or person, and which
        self._until_sweep = _SWEEP_EVERY

    def __len__(self) -> int:
        """Return how many contributors are remembered."""
        return len(self._own)

    def allowed_weight(self, tenant: str, *, key: str, person: str, at: float, key_share: float | None = None) -> float:
        """Return what a statement may weigh, in [0, 1], and keep account of it.

        Args:
            tenant: whose feedback it is.
            key: id of the key it came with, empty for none.
            person: the pseudonym of who gave it, empty for nobody known.
            at: seconds since the epoch.
            key_share: this key's own cap; None: the one configured.
        """
        half_life_s = self._caps.half_life_s
        whole = self._tenants.setdefault(tenant, _Sum())
        limits = [("key", key, self._caps.key_share if key_share is None else key_share)]
        limits.append(("person", person, self._caps.person_share))
        sums = [
            (self._own.setdefault((tenant, kind, name), _Sum()), share)
            for kind, name, share in limits
            if name and share is not None and share < 1.0
        ]
        weight = min([1.0, *(self._room(own, whole, share, at) for own, share in sums)])
        for fading_sum in (whole, *(own for own, _ in sums)):
            fading_sum.add(weight, at, half_life_s)
        self._sweep(at)
        return weight

    def _room(self, own: _Sum, whole: _Sum, share: float, at: float) -> float:
        own_weight = own.now(at, self._caps.half_life_s)
        others = max(whole.now(at, self._caps.half_life_s) - own_weight, 0.0)
        return max(max(self._caps.grace, share / (1.0 - share) * others) - own_weight, 0.0)

    def _sweep(self, at: float) -> None:
        """Forget who has faded away, now and then, and who weighs least where there are too many."""
        self._until_sweep -= 1
        if self._until_sweep > 0 and len(self._own) <= self._most:
            return
        half_life_s = self._caps.half_life_s
        self._tenants = {
            name: fading_sum for name, fading_sum in self._tenants.items() if fading_sum.now(at, half_life_s) > _NOTHING
        }
        self._own = {
            name: fading_sum for name, fading_sum in self._own.items() if fading_sum.now(at, half_life_s) > _NOTHING
        }
        if len(self._own) > self._most:
            heaviest = heapq.nlargest(
                self._most // 2, self._own.items(), key=lambda entry: entry[1].now(at, half_life_s)
            )
            self._own = dict(heaviest)
        self._until_sweep = max(_SWEEP_EVERY, len(self._own))
