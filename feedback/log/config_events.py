"""What is in force, as the log records it: a new arm, a price, a policy, a configuration is a control event, once."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoPermissionError

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Arm, Control, ControlKind
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys, Store

_SCANNED = 10_000  # keys in a call
_TRIES = 5  # routers that start together all announce


def describe_config(
    arms: Iterable[Arm], *, lineage: str, configuration: Mapping[str, Any], settings: Mapping[str, Any] | None = None,
    pool: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """Return what is in force, as JSON that is equal where it is the same.

    Args:
        arms: of the pool.
        lineage: that is learned.
        configuration: what of it the log records.
        settings: all of it, for commands to go by; no event tells of it.
        pool: the arms of the pool file, for commands to go by; None: there is no file.
    """
    told = {"arms": _priced(arms), "lineage": lineage, "configuration": dict(configuration)}
    further = {"settings": settings, "pool": pool}
    return json.dumps({**told, **{name: told for name, told in further.items() if told is not None}}, sort_keys=True)


def with_arms(description: str, arms: Iterable[Arm]) -> str:
    """Return a description of what is in force, with other arms."""
    return json.dumps({**json.loads(description), "arms": _priced(arms)}, sort_keys=True)


def _priced(arms: Iterable[Arm]) -> dict[str, list[float | None]]:
    return {arm.name: [arm.usd_per_mtok_in, arm.usd_per_mtok_out] for arm in arms}


def config_changes(
    before: str, after: str, *, at: float, by: str = "", changed: Mapping[str, Any] | None = None
) -> list[Control]:
    """Return the control events that lead from one description to another; `before` is empty at the very first.

    Args:
        before: what was in force.
        after: what is now.
        at: seconds since the epoch.
        by: who changed it while routers ran; empty: nobody, a router starts with it.
        changed: what they changed, by key: the value before, and now.
    """
    who = {"by": by} if by else {}
    old = json.loads(before) if before else {"arms": {}, "lineage": None, "configuration": None}
    new = json.loads(after)
    controls = []
    if changed or old["configuration"] != new["configuration"]:
        told = {"changed": dict(changed)} if changed else {}
        controls.append(Control(at, ControlKind.CONFIGURATION, {**new["configuration"], **who, **told}))
    for name, price in new["arms"].items():
        detail = {"arm": name, "usd_per_mtok_in": price[0], "usd_per_mtok_out": price[1], **who}
        if name not in old["arms"]:
            controls.append(Control(at, ControlKind.ARM_ADDED, detail))
        elif old["arms"][name] != price:
            controls.append(Control(at, ControlKind.PRICE_CHANGED, detail))
    dropped = [name for name in old["arms"] if name not in new["arms"]]
    controls += [Control(at, ControlKind.ARM_DROPPED, {"arm": name, **who}) for name in dropped]
    if old["lineage"] != new["lineage"]:
        detail = {"from": old["lineage"], "to": new["lineage"]}
        controls.append(Control(at, ControlKind.POLICY_PROMOTED, detail))
    return controls


async def record_config_change(store: Store, after: str, *, at: float) -> list[EventId]:
    """Put on the log how what is in force becomes `after`; return the events' ids, none if it is so already.

    Raises:
        StoreUnavailable: Redis does not answer, or others announce all the time.
    """
    for _ in range(_TRIES):
        before = await store.active_config()
        if before == after:
            return []
        ids = await store.put_config_changes(config_changes(before, after, at=at), before=before, after=after)
        if ids is not None:
            return ids
    raise StoreUnavailable("others announce what is in force at the same time")


async def active_namespaces(client: "aioredis.Redis") -> list[str]:
    """Return the namespaces in which something was announced as in force; all keys there are looked through for it.

    Where this user of Redis may not look, none are known.
    """
    begin, end = Keys("*")("in_force").split("*")
    with redis_errors(), suppress(NoPermissionError):
        keys = {key.decode() async for key in client.scan_iter(match=f"{begin}*{end}", count=_SCANNED)}
        return sorted(key.removeprefix(begin).removesuffix(end) for key in keys)
    return []
