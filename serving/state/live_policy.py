"""The policy this replica decides with: the newest published version, swapped in between two requests."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from highwayman.bandit.policy import Policy
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.errors import SnapshotError, StoreUnavailable
from highwayman.env.types import DEFAULT_TENANT
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.learning.publications import NO_VERSION, Publications, Published
from highwayman.feedback.log.event_id import START, EventId
from highwayman.serving.state.local_state import LocalState

_POLL_S = 1.0  # behind the announcements, which may be lost
_CACHE_EVERY_S = 5.0

log = logging.getLogger(__name__)


class LivePolicy:
    """A policy with its version and the tally published with it; starts at the prior, version 0."""

    def __init__(
        self,
        publications: Publications,
        make_policy: Callable[[], Policy],
        arms: Iterable[str],
        *,
        cache: LocalState,
        clock: Callable[[], float],
        on_version: Callable[[int, float], None] = lambda version, lag_s: None,
    ) -> None:
        """Take its parts.

        Args:
            publications: where versions are published.
            make_policy: returns a policy at its prior.
            arms: names of the pool's arms.
            cache: where the last version is kept for a start without Redis.
            clock: seconds since the epoch.
            on_version: called with each version that comes into force, and its lag in seconds.
        """
        self._publications = publications
        self._make_policy = make_policy
        self._arms = tuple(arms)
        self._cache = cache
        self._clock = clock
        self._on_version = on_version
        self._policy_digest = ""  # of the policies in force; empty where that is not known
        self._uncached: Published | None = None
        self._cached_at = 0.0
        self._policies = self._with_arms(TenantPolicies(make_policy(), make_policy))
        self.policy_for = self._policies.policy_for  # a tenant's; each request asks
        self.tally = Tally()
        self.stamp = NO_VERSION
        self._refused = NO_VERSION  # the last version that could not be used
        self.position: EventId = START
        self.lag_s = 0.0  # from the publication of the version in force to its coming into force
        self.checked_at: float | None = None  # when it was last known that there is nothing newer

    @property
    def policy(self) -> Policy:
        """The default tenant's policy."""
        return self._policies.policy_for(DEFAULT_TENANT)

    @property
    def version(self) -> int:
        """The number of the version in force."""
        return self.stamp.version

    def add_arms(self, names: Iterable[str]) -> None:
        """Let further arms be chosen, by the versions to come, too; those that are known stay as they are."""
        self._arms = tuple(dict.fromkeys([*self._arms, *names]))
        self._with_arms(self._policies)

    async def refresh(self) -> bool:
        """Load the newest version if it is another one; return whether it was. Raises StoreUnavailable."""
        stamp = await self._publications.stamp()
        if stamp in (self.stamp, self._refused):
            self.checked_at = self._clock()
            return False
        try:
            published = await self._publications.load(known_policy=self._policy_digest)
        except SnapshotError as error:
            log.error("version %d cannot be used, keeping %d: %s", stamp.version, self.version, error)
            self._refused = stamp
            return False
        if published is None:
            return False
        if not await self._use(published):
            self._refused = published.stamp
            return False
        self.checked_at = self._clock()
        self._uncached = published.with_policy_of(self._uncached)
        if self.checked_at - self._cached_at >= _CACHE_EVERY_S:
            await asyncio.to_thread(self.write_cache)
        return True

    async def load_cached(self) -> bool:
        """Put the version kept on this disk in force, if there is one that can be used; return whether there was."""
        published = self._cache.version()
        return published is not None and await self._use(published)

    def write_cache(self) -> None:
        """Keep the version in force on this disk."""
        if self._uncached is not None:
            self._cache.save_version(self._uncached)
            self._cached_at, self._uncached = self._clock(), None

    async def run(self) -> None:
        """Keep up with what is published until cancelled."""
        async with asyncio.TaskGroup() as group:
            announced, store_unavailable = asyncio.Event(), False
            group.create_task(self._listen(announced))
            while True:
                announced.clear()
                try:
                    await self.refresh()
                    store_unavailable = False
                except StoreUnavailable as error:
                    if not store_unavailable:
                        log.warning("keeping policy version %d: %s", self.version, error)
                    store_unavailable = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await announced.wait()

    async def _listen(self, announced: asyncio.Event) -> None:
        while True:
            try:
                async for _ in self._publications.announcements():
                    announced.set()
            except StoreUnavailable:
                await asyncio.sleep(_POLL_S)

    async def _use(self, published: Published) -> bool:
        """Put a version in force; return False, and change nothing, if it cannot be used."""
        policies = self._policies
        try:
            if not published.policy_digest or published.policy_digest != self._policy_digest:
                policies = TenantPolicies(self._make_policy(), self._make_policy)
                await asyncio.to_thread(policies.restore, published.snapshot.policy)
                policies = self._with_arms(policies)
            tally = await asyncio.to_thread(Tally.from_json, published.snapshot.tally)
        except SnapshotError as error:
            log.error("version %d cannot be used, keeping %d: %s", published.stamp.version, self.version, error)
            return False
        self._policies, self._policy_digest, self.tally = policies, published.policy_digest, tally
        self.policy_for = policies.policy_for
        self.stamp, self.position = published.stamp, published.snapshot.position
        self.lag_s = max(self._clock() - published.at, 0.0)
        self._on_version(self.version, self.lag_s)
        return True

    def _with_arms(self, policies: TenantPolicies) -> TenantPolicies:
        for name in self._arms:
            policies.add_arm(name)
        return policies
