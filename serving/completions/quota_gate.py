"""Lets requests through as far as their key's and their tenant's limits go, and tells how much is left."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Outcome
from highwayman.feedback.log.store import Keys
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.quotas import REQUESTS, TOKENS, USD, Quota, units_of
from highwayman.feedback.trust.shared_quotas import SLIDING, Amount, SharedQuotas, Taken
from highwayman.serving.completions.quota_lease import KEPT_S, QuotaLease
from highwayman.serving.completions.quota_windows import QuotaWindow, quota_window
from highwayman.serving.config.tenants import EVERY_TENANT
from highwayman.serving.http.asgi import Headers
from highwayman.serving.http.errors import RateLimited

_MINUTE_S, _DAY_S = 60.0, 86_400.0
_REMEMBERED: Final = 10_000  # callers whose windows are known, and requests that have not ended
_NAMES: Final = {USD: "dollars"}


@dataclass(frozen=True, slots=True)
class _Held:
    """What a request has taken."""

    principal: Principal
    windows: tuple[QuotaWindow, ...]
    needs: Sequence[int]
    second: int  # by Redis' clock


class QuotaGate:
    """Counts in Redis, for all routers of a namespace."""

    def __init__(self, shared: SharedQuotas, namespace: str, *, clock: Callable[[], float]) -> None:
        """Take where amounts are counted, the namespace, and a clock, seconds since the epoch."""
        self._shared = shared
        self._keys = Keys(namespace)
        self._clock = clock
        self._tenants: Mapping[str, Sequence[Quota]] = {}
        self._is_open = True
        self._windows: dict[Principal, tuple[QuotaWindow, ...]] = {}
        self._day = -1
        self._leases: dict[Principal, QuotaLease] = {}
        self._held: dict[str, _Held] = {}  # by decision, of requests that have tokens or dollars to settle
        self._full: dict[Principal, tuple[float, QuotaWindow]] = {}  # who has no requests left, and until when

    def follow(self, tenants: Mapping[str, Sequence[Quota]], *, is_open_without_redis: bool) -> None:
        """Go on with these quotas of tenants (`*`: of each that is not named); what was taken stays.

        `is_open_without_redis` says whether requests go through while nobody can count.
        """
        self._tenants = tenants
        self._is_open = is_open_without_redis
        self._forget_windows()
        self._full.clear()

    def limits(self, principal: Principal) -> bool:
        """Return whether a caller has any limit."""
        return bool(principal.quotas) or (bool(self._tenants) and bool(self._of_tenant(principal.tenant)))

    def is_metered(self, principal: Principal) -> bool:
        """Return whether a caller has a limit in tokens or dollars."""
        return any(window.quota.resource != REQUESTS for window in self._windows_of(principal))

    async def taken_by(self, principal: Principal) -> list[tuple[QuotaWindow, float]]:
        """Return a caller's windows, and what each holds now, as a share of its limit. Raises StoreUnavailable."""
        windows = self._windows_of(principal)
        if not windows:
            return []
        sums = (await self._shared.take(_amounts(windows, [0] * len(windows)))).sums
        return [(window, held / window.quota.units) for window, held in zip(windows, sums, strict=True)]

    def check(self, principal: Principal) -> None:
        """Raise RateLimited if it is known here that a caller has no requests left: nothing of it need be read."""
        known = self._full.get(principal) if self._full else None
        if known is None:
            return
        until, window = known
        wait_s = until - self._clock()
        if wait_s <= 0:
            del self._full[principal]
            return
        raise _refusal(window, wait_s, _headers([(window, window.quota.units, wait_s)]))

    async def admit(self, principal: Principal, decision_id: str, *, tokens: int, usd: float) -> Headers:
        """Take what a request is expected to need; return what tells of the limits. No decision: nothing is settled.

        Raises:
            RateLimited: a limit does not allow it.
            StoreUnavailable: nobody can count, and nothing goes through then.
        """
        windows, now = self._windows_of(principal), self._clock()
        by_resource = {REQUESTS: 1, TOKENS: tokens, USD: units_of(USD, usd)}
        needs = [by_resource[window.quota.resource] for window in windows]
        lease = self._leases.get(principal)
        if lease is None:
            lease = self._leases[principal] = QuotaLease([0] * len(windows))
        sums = lease.spend(needs, now)
        if sums is None and lease.filling is not None:
            await lease.filling.wait()
            sums = lease.spend(needs, self._clock())
        second = lease.second
        if sums is None:
            try:
                taken = await self._taken(windows, needs, lease, now)
            except StoreUnavailable:
                if self._is_open:
                    return ()
                raise StoreUnavailable("Limits cannot be counted now, as Redis does not answer; try again.") from None
            if taken.refused is not None:
                raise self._refused(principal, windows, needs, taken)
            sums, second = taken.sums, taken.second
        if decision_id and any(window.quota.resource != REQUESTS for window in windows):
            self._held[decision_id] = _Held(principal, windows, needs, second)
            if len(self._held) > _REMEMBERED:  # of calls that others make, and of which nothing is told
                self._held.pop(next(iter(self._held)))
        return _headers([(window, total, _reset_s(window, now)) for window, total in zip(windows, sums, strict=True)])

    async def _taken(
        self, windows: Sequence[QuotaWindow], needs: Sequence[int], lease: QuotaLease, now: float
    ) -> Taken:
        """Take what a request needs, and for some more like it where the caller asks often. Raises StoreUnavailable."""
        if lease.is_taking:
            return await self._shared.take(_amounts(windows, needs))
        lease.is_taking = True
        try:
            count = lease.next_size(needs, [window.quota.units for window in windows], now)
            if count > 1:
                lease.filling = asyncio.Event()
            self._give_back(lease, windows)
            taken = await self._shared.take(_amounts(windows, [count * need for need in needs]))
            if taken.refused is not None and count > 1:
                count, taken = 1, await self._shared.take(_amounts(windows, needs))
            if taken.refused is None:
                ahead, done_at = [(count - 1) * need for need in needs], self._clock()
                lease.fill(ahead, taken.sums, second=taken.second, now=done_at)
                sums = tuple(total - have for total, have in zip(taken.sums, lease.held, strict=True))
                taken = Taken(None, None, taken.second, sums)
                if lease.size > 1:  # also where nothing is taken ahead: what calls do not use is held, too
                    asyncio.get_running_loop().call_later(2 * KEPT_S, self._give_back, lease, windows)
            return taken
        finally:
            lease.is_taking = False
            if lease.filling is not None:
                lease.filling.set()
                lease.filling = None

    def _give_back(self, lease: QuotaLease, windows: Sequence[QuotaWindow]) -> None:
        """Give back what was taken ahead and not asked for soon."""
        left = [-units for units in lease.expired(self._clock())]
        if any(left):
            self._shared.settle(_settled(windows, left, lease.second))

    def on_outcome(self, outcome: Outcome) -> None:
        """Settle what a call has taken: what is beyond the estimate is counted, what is not is given back."""
        held = self._held.pop(outcome.decision_id, None) if self._held else None
        if held is None:
            return
        used = {
            TOKENS: sum(call.tokens_in + call.tokens_out for call in outcome.calls),
            USD: units_of(USD, outcome.cost_usd or 0.0),
        }
        left = [
            need - used.get(window.quota.resource, need) for window, need in zip(held.windows, held.needs, strict=True)
        ]
        lease = self._leases.get(held.principal)
        is_current = lease is not None and self._windows.get(held.principal) is held.windows
        if any(left) and not (lease is not None and is_current and lease.credit(left, self._clock())):
            self._shared.settle(_settled(held.windows, [-units for units in left], held.second))

    def _refused(
        self, principal: Principal, windows: Sequence[QuotaWindow], needs: Sequence[int], taken: Taken
    ) -> RateLimited:
        now, place = self._clock(), taken.refused or 0
        window, ends_s = windows[place], _reset_s(windows[place], now)
        wait_s = taken.wait_s if window.kind == SLIDING else ends_s
        if needs[place] > window.quota.units:
            wait_s = None
        if window.quota.resource == REQUESTS and wait_s is not None:
            if len(self._full) > _REMEMBERED:
                self._full.clear()
            self._full[principal] = now + wait_s, window
        told = [
            (each, held, ends_s if wait_s is None else wait_s) if each is window else (each, held, _reset_s(each, now))
            for each, held in zip(windows, taken.sums, strict=True)
        ]
        return _refusal(window, wait_s, _headers(told))

    def _windows_of(self, principal: Principal) -> tuple[QuotaWindow, ...]:
        """Return a caller's windows as they are today."""
        day = int(self._clock() // _DAY_S)
        if day != self._day or len(self._windows) > _REMEMBERED:
            self._day = day
            self._forget_windows()
        windows = self._windows.get(principal)
        if windows is None:
            owners = (
                (f"the API key {principal.key_id}", f"key:{principal.key_id}", principal.quotas),
                (f"the tenant {principal.tenant}", f"tenant:{principal.tenant}", self._of_tenant(principal.tenant)),
            )
            windows = self._windows[principal] = tuple(
                quota_window(quota, said, self._keys, owner, day=day, now=self._clock())
                for said, owner, quotas in owners
                for quota in quotas
            )
        return windows

    def _forget_windows(self) -> None:
        """Have windows made anew; what was taken ahead stays taken."""
        self._windows.clear()
        self._leases.clear()

    def _of_tenant(self, tenant: str) -> Sequence[Quota]:
        quotas = self._tenants.get(tenant)
        return self._tenants.get(EVERY_TENANT, ()) if quotas is None else quotas


def _amounts(windows: Sequence[QuotaWindow], needs: Sequence[int]) -> list[Amount]:
    return [
        Amount(window.key, window.kind, window.quota.units, need, window.keep_s)
        for window, need in zip(windows, needs, strict=True)
    ]


def _settled(windows: Sequence[QuotaWindow], units: Sequence[int], second: int) -> list[Amount]:
    """Return what is added to windows (below 0: given back) for what was taken in a second."""
    return [
        Amount(window.key, window.kind, None, more, window.keep_s, second)
        for window, more in zip(windows, units, strict=True)
        if more
    ]


def _reset_s(window: QuotaWindow, now: float) -> float:
    """Return in how many seconds all of a window is free again, if nothing more is taken from it."""
    return _MINUTE_S if window.kind == SLIDING else max(window.ends_at - now, 0.0)


def _refusal(window: QuotaWindow, wait_s: float | None, headers: Headers) -> RateLimited:
    quota = window.quota
    resource = _NAMES.get(quota.resource, quota.resource)
    when = "This request alone would take more." if wait_s is None else f"The next may come in {math.ceil(wait_s)} s."
    message = f"The limit of {window.owner} is reached: {quota.limit:g} {resource} a {quota.period}. {when}"
    return RateLimited(message, wait_s=math.inf if wait_s is None else wait_s, headers=headers)


def _headers(told: Sequence[tuple[QuotaWindow, int, float]]) -> Headers:
    """Return OpenAI's headers, by resource: of windows, what each holds, and in how many seconds it is free again.

    Of several limits of a resource, that one is told of which the least part is left.
    """
    tightest: dict[str, tuple[float, Quota, float]] = {}
    for window, held, reset_s in told:
        quota = window.quota
        left = max(1 - held / quota.units, 0.0)
        if quota.resource not in tightest or left < tightest[quota.resource][0]:
            tightest[quota.resource] = left, quota, reset_s
    return [
        (f"x-ratelimit-{what}-{resource}".encode(), value.encode())
        for resource, (left, quota, reset_s) in tightest.items()
        for what, value in (
            ("limit", _number(quota.limit)),
            ("remaining", _number(left * quota.limit)),
            ("reset", _duration(reset_s)),
        )
    ]


def _number(amount: float) -> str:
    return f"{amount:.6f}".rstrip("0").rstrip(".")


def _duration(seconds: float) -> str:
    """Return a duration as OpenAI's API writes it: 1.5s, 6m0s, 23h59m2s."""
    if seconds < _MINUTE_S:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
