"""Published versions of learned state, and the fenced lease that lets only one learner publish."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from highwayman.feedback.learner import Snapshot
from highwayman.feedback.redis import redis_errors, script
from highwayman.feedback.store import Keys


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot with the version it was published as."""

    version: int
    snapshot: Snapshot


def lineage(policy: str, options: Mapping[str, Any], fingerprint: str, spec: int) -> str:
    """Return a short name for everything the learned state depends on beside the log.

    Another policy, other options, another encoder or other metrics mean another lineage, folded anew from the log.
    """
    what = json.dumps([policy, dict(options), fingerprint, spec], sort_keys=True, default=str)
    return hashlib.sha256(what.encode()).hexdigest()[:12]


class Publications:
    """Where learned state of one lineage is published and read."""

    def __init__(self, client: "aioredis.Redis", namespace: str, lineage: str) -> None:
        """Take a client, the namespace and what `lineage` returned."""
        keys = Keys(namespace)
        self._client = client
        self._lease, self._epoch = keys("lease", lineage), keys("epoch", lineage)
        self._policy, self._channel = keys("policy", lineage), keys("versions", lineage)
        self._acquire = script(client, "acquire")
        self._publish = script(client, "publish")

    async def acquire(self, holder: str, *, hold_s: float) -> str | None:
        """Take or keep the lease; return the epoch that fences what is published under it, None if another has it."""
        with redis_errors():
            epoch = await self._acquire(keys=[self._lease, self._epoch], args=[holder, int(hold_s * 1000)])
        return epoch.decode() if epoch else None

    async def release(self, holder: str) -> None:
        """Give the lease up if `holder` has it, so that the next one need not wait for it to run out."""
        with redis_errors():
            if await self._client.get(self._lease) == holder.encode():
                await self._client.delete(self._lease)

    async def publish(self, snapshot: Snapshot, epoch: str, *, policy_changed: bool) -> int | None:
        """Publish `snapshot`; return its version, or None, with nothing written, if the lease was lost."""
        policy = snapshot.policy if policy_changed else b""
        args = [epoch, self._channel, snapshot.position, snapshot.tally, policy]
        with redis_errors():
            version = await self._publish(keys=[self._epoch, self._policy], args=args)
        return int(version) if version else None

    async def version(self) -> int:
        """Return the newest version, 0 before the first."""
        with redis_errors():
            return int(await self._client.hget(self._policy, "version") or 0)

    async def load(self) -> Published | None:
        """Return the newest version, or None before the first."""
        with redis_errors():
            reply = await self._client.hgetall(self._policy)
        found = {name: value for name, value in reply.items() if isinstance(value, bytes)}
        if not found:
            return None
        snapshot = Snapshot(found[b"position"].decode(), found[b"policy"], found[b"tally"])
        return Published(int(found[b"version"]), snapshot)

    async def announcements(self) -> AsyncIterator[int]:
        """Yield versions as they are published; ends with StoreUnavailable when the connection does."""
        with redis_errors():
            async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(self._channel)
                while True:
                    message = await pubsub.get_message(timeout=0.5)
                    if message is not None:
                        yield int(message["data"])
