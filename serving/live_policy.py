"""The policy this replica decides with: the newest published version, swapped in between two requests."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError, StoreUnavailable
from highwayman.feedback.publications import Publications
from highwayman.feedback.tally import Tally

_POLL_S = 1.0  # behind the announcements, which may be lost

log = logging.getLogger(__name__)


class LivePolicy:
    """A policy with its version and the tally published with it; starts at the prior, version 0."""

    def __init__(self, publications: Publications, make_policy: Callable[[], Policy], arms: Iterable[str]) -> None:
        """Take where versions are published, what makes a policy at its prior, and the pool's arms."""
        self._publications = publications
        self._make_policy = make_policy
        self._arms = tuple(arms)
        self.policy = self._with_arms(make_policy())
        self.tally = Tally()
        self.version = 0

    async def refresh(self) -> bool:
        """Load the newest version if there is a newer one; return whether there was. Raises StoreUnavailable."""
        if await self._publications.version() <= self.version:
            return False
        published = await self._publications.load()
        if published is None:
            return False
        policy = self._make_policy()
        try:
            await asyncio.to_thread(policy.restore, published.snapshot.policy)
        except SnapshotError as error:
            log.error("version %d cannot be used, keeping %d: %s", published.version, self.version, error)
            return False
        self.policy, self.tally = self._with_arms(policy), Tally.from_json(published.snapshot.tally)
        self.version = published.version
        return True

    async def follow(self) -> None:
        """Keep up with what is published until cancelled."""
        async with asyncio.TaskGroup() as group:
            news = asyncio.Event()
            group.create_task(self._listen(news))
            while True:
                news.clear()
                try:
                    await self.refresh()
                except StoreUnavailable as error:
                    log.warning("keeping policy version %d: %s", self.version, error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await news.wait()

    async def _listen(self, news: asyncio.Event) -> None:
        while True:
            try:
                async for _ in self._publications.announcements():
                    news.set()
            except StoreUnavailable:
                await asyncio.sleep(_POLL_S)

    def _with_arms(self, policy: Policy) -> Policy:
        for name in self._arms:
            policy.add_arm(name)
        return policy
