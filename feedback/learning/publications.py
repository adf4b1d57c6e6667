"""Published versions of learned state, and the fenced lease that lets only one learner publish."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import redis.asyncio as aioredis

from highwayman.bandit.loading import lineage_name
from highwayman.env.errors import SnapshotError
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.log.event_id import START, sort_key
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys

_IMPOSING_S = 10.0
_BESIDE_POLICY = (b"version", b"holder", b"at", b"position", b"tally", b"rollbacks", b"policy_digest")


@dataclass(frozen=True, slots=True)
class VersionStamp:
    """What tells publications apart: a server that lost its last moments may give a version's number again."""

    version: int
    holder: str  # of the lease it was published under


NO_VERSION = VersionStamp(0, "")


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot with the stamp and the time (seconds since the epoch) it was published with."""

    stamp: VersionStamp
    snapshot: Snapshot
    at: float
    policy_digest: str = ""  # of the policy; empty where its publisher did not say

    def with_policy_of(self, other: "Published | None") -> "Published":
        """Return this with the policy of another, if its own was left out and is the same."""
        if self.snapshot.policy or other is None or not self.policy_digest == other.policy_digest != "":
            return self
        return replace(self, snapshot=replace(self.snapshot, policy=other.snapshot.policy))


def digest_of(policy: bytes) -> str:
    """Return what tells a policy's state from any other."""
    return hashlib.blake2b(policy, digest_size=16).hexdigest()


def lineage(policy: str, options: Mapping[str, Any], fingerprint: str, spec: int) -> str:
    """Return a short name for everything the learned state depends on beside the log.

    Another policy, other options, another encoder or other metrics mean another lineage, folded anew from the log. The
    same policy under its class name or under the path of any release is one lineage.
    """
    description = json.dumps([lineage_name(policy), dict(options), fingerprint, spec], sort_keys=True, default=str)
    return hashlib.sha256(description.encode()).hexdigest()[:12]


class Publications:
    """Where learned state of one lineage is published and read."""

    def __init__(self, client: "aioredis.Redis", namespace: str, lineage: str) -> None:
        """Take a client, the namespace and what `lineage` returned."""
        keys = Keys(namespace)
        self.lineage = lineage
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._lease, self._epoch = keys("lease", lineage), keys("epoch", lineage)
        self._policy, self._channel = keys("policy", lineage), keys("news", lineage)
        self._written = [
            *(self._epoch, self._policy, keys("versions", lineage), keys("about", lineage)),
            *(keys("lineages"), keys("log")),
        ]
        self._scripts = Scripts(client, "acquire", "publish", "release", "seize")

    async def acquire(self, holder: str, *, hold_s: float) -> str | None:
        """Take or keep the lease; return the epoch that fences what is published under it, None if another has it."""
        epoch = await self._scripts.call("acquire", [self._lease, self._epoch], [holder, int(hold_s * 1000)])
        return epoch.decode() if epoch else None

    async def release(self, holder: str) -> None:
        """Give the lease up if `holder` has it, so that the next one need not wait for it to run out."""
        await self._scripts.call("release", [self._lease], [holder])

    async def holder(self) -> str | None:
        """Return who holds the lease, or None."""
        with redis_errors():
            holder = await self._client.get(self._lease)
        return holder.decode() if holder else None

    async def publish(
        self,
        snapshot: Snapshot,
        *,
        epoch: str,
        holder: str,
        at: float,
        policy_digest: str = "",
        version_info: str = "",
        anchored: bool = False,
    ) -> int | None:
        """Publish `snapshot`; return its version.

        Args:
            snapshot: what was learned, and up to where.
            epoch: of the publisher's lease.
            holder: its name.
            at: seconds since the epoch.
            policy_digest: of the policy; needed where the snapshot leaves out the one published last, since it stands.
            version_info: what had been learned, as JSON; the version is kept for a rollback. Empty: it is not kept.
            anchored: refuse if the event at the snapshot's position is not on the log.

        Returns:
            The version, or None, with nothing written: the lease was lost, or the log its end, or the policy that
            stands is not the one published last: a server that lost its last moments lost that.
        """
        rollbacks = json.dumps([asdict(span) for span in snapshot.rollbacks])
        digest = policy_digest or await asyncio.to_thread(digest_of, snapshot.policy)
        check = "1" if anchored and snapshot.position != START else ""
        head = [epoch, self._channel, self.lineage, snapshot.position]
        args = [*head, snapshot.tally, rollbacks, holder, at, snapshot.policy, version_info, check, digest]
        args += [snapshot.score, snapshot.verdict]
        version = await self._scripts.call("publish", self._written, args)
        return int(version) if version else None

    async def force_publish(self, snapshot: Snapshot, *, holder: str, at: float) -> int | None:
        """Publish `snapshot` whoever is learning, who then begins again from it.

        Returns:
            The version, or None, with nothing written, if another did the same in the same moment.
        """
        epoch = await self._scripts.call("seize", [self._lease, self._epoch], [holder, int(_IMPOSING_S * 1000)])
        version = await self.publish(snapshot, epoch=epoch.decode(), holder=holder, at=at)
        await self.release(holder)
        return version

    async def stamp(self) -> VersionStamp:
        """Return the newest publication's stamp, `NO_VERSION` before the first."""
        with redis_errors():
            version, holder = await self._client.hmget(self._policy, "version", "holder")
        return VersionStamp(int(version), holder.decode()) if version and version.isdigit() and holder else NO_VERSION

    async def load(self, *, known_policy: str = "") -> Published | None:
        """Return the newest publication, or None before the first; without its policy if that has the known digest.

        Raises SnapshotError if it is damaged.
        """
        with redis_errors():
            if known_policy:
                values = dict(zip(_BESIDE_POLICY, await self._client.hmget(self._policy, *_BESIDE_POLICY), strict=True))
                if _policy_digest(values) == known_policy:
                    return parse_publication({**values, b"policy": b""})
            reply = await self._client.hgetall(self._policy)
        return parse_publication(reply) if reply else None

    async def verdict(self) -> str:
        """Return what the newest publication's score comes to, as JSON, empty where there is none."""
        with redis_errors():
            return (await self._client.hget(self._policy, "verdict") or b"").decode()

    async def announcements(self) -> AsyncIterator[str]:
        """Yield a message for each version as it is published; ends with StoreUnavailable when the connection does."""
        with redis_errors():
            async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(self._channel)
                while True:
                    message = await pubsub.get_message(timeout=0.5)
                    if message is not None:
                        yield message["data"].decode()


def parse_publication(fields: Mapping[bytes, bytes]) -> Published:
    """Return the publication that the fields of its hash describe. Raises SnapshotError where they are damaged."""
    try:
        rollbacks = tuple(VoidedRange(**void) for void in json.loads(fields[b"rollbacks"]))
        score, verdict = fields.get(b"score", b""), fields.get(b"verdict", b"").decode()
        snapshot = Snapshot(
            fields[b"position"].decode(), fields[b"policy"], fields[b"tally"], rollbacks, score, verdict
        )
        for position in (snapshot.position, *(end for void in rollbacks for end in (void.after, void.upto))):
            sort_key(position)
        stamp = VersionStamp(int(fields[b"version"]), fields[b"holder"].decode())
        return Published(stamp, snapshot, float(fields[b"at"]), _policy_digest(fields))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"publication is damaged: {type(error).__name__}") from error


def _policy_digest(fields: Mapping[bytes, bytes | None]) -> str:
    """Return the digest of the policy that a publication has, empty where that is not known.

    It is told together with the version: publishers of earlier releases change the one and not the other.
    """
    version, _, digest = (fields.get(b"policy_digest") or b"").partition(b" ")
    return digest.decode() if version == fields.get(b"version") else ""
