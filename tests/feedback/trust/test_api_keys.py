"""On a real Valkey: keys as they are kept, and as a router knows them."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.anomaly_detector import AnomalyKind, SuspectedKey
from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore, UnknownKey
from highwayman.feedback.trust.principal import ADMIN, ANSWERS, FEEDBACK
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.state.local_state import LocalState

Found = Coroutine[Any, Any, Any]


@pytest.fixture
def store(redis_client: Redis, namespace: str) -> Store:
    return Store(redis_client, namespace)


@pytest.fixture
def keys(redis_client: Redis, namespace: str, store: Store) -> KeyStore:
    return KeyStore(redis_client, namespace, store)


@pytest.fixture
def kept(tmp_path: Path, namespace: str) -> LocalState:
    return LocalState(tmp_path, namespace, "lineage")


@pytest.fixture
def hash_name(store: Store) -> str:
    return store.keys("keys")


async def ring_of(keys: KeyStore, kept: LocalState, store: Store) -> ApiKeyCache:
    known = await store.known_secrets()
    ring = ApiKeyCache(keys, kept, lambda: known)
    await ring.refresh()
    return ring


async def test_a_key_stands_for_its_tenant_and_what_it_was_given(
    keys: KeyStore, kept: LocalState, store: Store
) -> None:
    made, text = await keys.add(KeyGrant("app", "acme", (ANSWERS, ADMIN), influence=0.2, rate_per_s=3.0), at=1.0)
    assert text.startswith("hwk-")
    assert len(text) == len("hwk-") + 43
    assert made.id.startswith("key-")
    ring = await ring_of(keys, kept, store)
    caller = ring.lookup(text)
    assert caller is not None
    assert (caller.tenant, caller.key_id, caller.scopes) == ("acme", made.id, {ANSWERS, ADMIN})
    assert (caller.quarantined, caller.influence, caller.rate_per_s) == (False, 0.2, 3.0)
    assert ring.lookup(made.id) is None
    assert ring.lookup(text + "x") is None
    assert ring.lookup("\ud800") is None


async def test_a_key_made_under_any_of_the_secrets_is_known(keys: KeyStore, kept: LocalState, store: Store) -> None:
    _, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    await store.secrets(b"of a router that started without Redis".ljust(32), issued=True)
    known = await store.known_secrets()
    for secrets in (known, known[::-1]):
        ring = ApiKeyCache(keys, kept, lambda secrets=secrets: secrets)  # type: ignore[misc]
        await ring.refresh()
        assert ring.lookup(text) is not None
    assert ApiKeyCache(keys, kept, lambda: known[1:]).lookup(text) is None


async def test_neither_redis_nor_the_disk_has_a_key_and_the_disk_is_enough_to_know_it(
    keys: KeyStore, kept: LocalState, store: Store, redis_client: Redis, hash_name: str, tmp_path: Path
) -> None:
    made, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    await ring_of(keys, kept, store)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    in_redis = b"".join((await redis_client.hgetall(hash_name)).values())  # type: ignore[misc]
    for everything in (on_disk, in_redis):
        assert text.removeprefix("hwk-").encode() not in everything
        assert made.mac.encode() in everything
    known = await store.known_secrets()
    caller = ApiKeyCache(keys, kept, lambda: known).lookup(text)
    assert caller is not None
    assert caller.tenant == "acme"


async def test_a_key_in_quarantine_may_come_in_and_is_marked_and_a_revoked_one_may_not(
    keys: KeyStore, kept: LocalState, store: Store
) -> None:
    made, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    ring = await ring_of(keys, kept, store)
    await keys.set_state(made.id, KeyState.QUARANTINED, why="by hand", since=5.0)
    assert await keys.quarantined() == {made.id: 5.0}
    await ring.refresh()
    caller = ring.lookup(text)
    assert caller is not None
    assert caller.quarantined
    await keys.set_state(made.id, KeyState.REVOKED)
    await ring.refresh()
    assert ring.lookup(text) is None
    assert await keys.quarantined() == {}


@pytest.mark.parametrize("state", list(KeyState))
async def test_a_revoked_key_stays_revoked_whatever_becomes_of_what_came_with_it(
    keys: KeyStore, state: KeyState
) -> None:
    made, _ = await keys.add(KeyGrant("app", "acme"), at=1.0)
    await keys.set_state(made.id, KeyState.REVOKED)
    assert (await keys.set_state(made.id, state, why="by hand")).state is KeyState.REVOKED
    await keys.quarantine_if_active(SuspectedKey(made.id, AnomalyKind.BURST, 3.0, "much"))
    assert (await keys.get(made.id)).state is KeyState.REVOKED


async def test_a_suspect_is_put_in_quarantine_once_and_no_key_that_is_unknown(keys: KeyStore) -> None:
    made, _ = await keys.add(KeyGrant("app", "acme"), at=1.0)
    await keys.quarantine_if_active(SuspectedKey(made.id, AnomalyKind.BURST, 3.0, "much"))
    await keys.quarantine_if_active(SuspectedKey(made.id, AnomalyKind.SHIFT, 9.0, "lies"))
    await keys.quarantine_if_active(SuspectedKey("key-none", AnomalyKind.SHIFT, 9.0, "lies"))
    found = await keys.get(made.id)
    assert (found.state, found.why, found.since) == (KeyState.QUARANTINED, "burst, much", 3.0)
    with pytest.raises(UnknownKey, match="there is no key 'key-none'"):
        await keys.set_state("key-none", KeyState.ACTIVE)


async def test_an_alarm_that_read_a_key_before_it_was_revoked_does_not_bring_it_back(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = await keys.add(KeyGrant("app", "acme"), at=1.0)
    reading: Callable[[str], Found] = keys._found
    looks = 0

    async def slowly(key_id: str) -> Any:
        nonlocal looks
        found = await reading(key_id)
        looks += 1
        if looks == 1:  # between the alarm's read and its write
            monkeypatch.setattr(keys, "_found", reading)
            await keys.set_state(made.id, KeyState.REVOKED)
            monkeypatch.setattr(keys, "_found", slowly)
        return found

    monkeypatch.setattr(keys, "_found", slowly)
    await keys.quarantine_if_active(SuspectedKey(made.id, AnomalyKind.BURST, 3.0, "much"))
    assert looks == 2
    assert (await keys.get(made.id)).state is KeyState.REVOKED


async def test_of_many_who_turn_a_key_at_once_the_one_that_revokes_it_wins(keys: KeyStore) -> None:
    made, _ = await keys.add(KeyGrant("app", "acme"), at=1.0)
    states = [KeyState.ACTIVE, KeyState.QUARANTINED] * 10 + [KeyState.REVOKED]
    await asyncio.gather(*(keys.set_state(made.id, state) for state in states))
    assert (await keys.get(made.id)).state is KeyState.REVOKED


@pytest.mark.parametrize("data", ["no JSON", "[]", "{}", '{"state": "unheard of", "scopes": []}'])
async def test_a_key_that_cannot_be_read_opens_nothing_and_no_door_to_everybody(
    keys: KeyStore, kept: LocalState, store: Store, redis_client: Redis, hash_name: str, data: str
) -> None:
    await redis_client.hset(hash_name, "key-odd", data)  # type: ignore[misc]
    ring = await ring_of(keys, kept, store)
    assert bool(ring)
    assert ring.lookup("hwk-anything") is None
    made, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    ring = await ring_of(keys, kept, store)
    caller = ring.lookup(text)
    assert caller is not None
    assert caller.key_id == made.id
    assert {one.id: one.state for one in await keys.all()}["key-odd"] is KeyState.REVOKED


async def test_what_a_newer_version_added_to_a_key_is_passed_over(
    keys: KeyStore, redis_client: Redis, hash_name: str
) -> None:
    made, _ = await keys.add(KeyGrant("app", "acme"), at=1.0)
    newer = json.loads(await redis_client.hget(hash_name, made.id)) | {"color": "red"}  # type: ignore[misc, arg-type]
    await redis_client.hset(hash_name, made.id, json.dumps(newer))  # type: ignore[misc]
    assert await keys.get(made.id) == made


async def test_a_router_without_keys_is_open_and_one_whose_keys_were_lost_is_not(
    keys: KeyStore, kept: LocalState, store: Store, redis_client: Redis, hash_name: str
) -> None:
    ring = await ring_of(keys, kept, store)
    assert not ring
    _, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    ring = await ring_of(keys, kept, store)
    assert ring
    await redis_client.delete(hash_name)
    await ring.refresh()
    assert ring
    assert ring.lookup(text) is None


async def test_without_redis_what_was_read_last_holds_and_writing_says_so(
    keys: KeyStore, kept: LocalState, store: Store, namespace: str
) -> None:
    _, text = await keys.add(KeyGrant("app", "acme"), at=1.0)
    await ring_of(keys, kept, store)
    known = await store.known_secrets()
    client = connect("redis://127.0.0.1:1/0", timeout_s=0.2)
    away = KeyStore(client, namespace, Store(client, namespace))
    ring = ApiKeyCache(away, kept, lambda: known)
    with pytest.raises(StoreUnavailable):
        await ring.refresh()
    assert ring.lookup(text) is not None
    for failing in (away.add(KeyGrant("app", "acme"), at=1.0), away.set_state("key-x", KeyState.REVOKED), away.all()):
        with pytest.raises(StoreUnavailable):
            await failing
    await client.aclose()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tenant": ""}, "tenant must be a name, got ''"),
        ({"scopes": ()}, "scopes must be some of admin, answers, feedback"),
        ({"scopes": (FEEDBACK, "root")}, "got .*'root'"),
        ({"influence": 0.0}, r"influence must be in \(0, 1\], got 0.0"),
        ({"influence": float("nan")}, "got nan"),
        ({"rate_per_s": float("inf")}, "rate_per_s must be > 0, got inf"),
    ],
)
def test_a_key_for_what_no_key_can_be_for_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KeyGrant(**{"name": "app", "tenant": "acme", **wrong})


async def test_a_key_opens_nothing_from_the_moment_it_expires(keys: KeyStore, kept: LocalState, store: Store) -> None:
    now = [100.0]
    _, text = await keys.add(KeyGrant("app", "acme", expires_at=160.0), at=now[0])
    known = await store.known_secrets()
    ring = ApiKeyCache(keys, kept, lambda: known, clock=lambda: now[0])
    await ring.refresh()
    now[0] = 159.9
    assert ring.lookup(text) is not None
    now[0] = 160.0
    assert ring.lookup(text) is None
    assert ring  # and the router is not open for that


async def test_a_rotated_keys_old_text_opens_until_the_grace_is_over_and_both_are_one_key(
    keys: KeyStore, kept: LocalState, store: Store
) -> None:
    now = [100.0]
    made, old = await keys.add(KeyGrant("app", "acme"), at=now[0])
    rotated, new = await keys.rotate(made.id, grace_until=200.0)
    known = await store.known_secrets()
    ring = ApiKeyCache(keys, kept, lambda: known, clock=lambda: now[0])
    await ring.refresh()
    callers = [ring.lookup(text) for text in (old, new)]
    assert callers[0] == callers[1]
    assert callers[0] is not None
    assert callers[0].key_id == made.id == rotated.id
    now[0] = 200.0
    assert ring.lookup(old) is None
    assert ring.lookup(new) is not None
    await keys.set_state(made.id, KeyState.REVOKED)
    await ring.refresh()
    assert ring.lookup(new) is None


async def test_when_a_key_was_used_last_is_told_to_the_minute(keys: KeyStore, kept: LocalState, store: Store) -> None:
    now = [1000.0]
    made, text = await keys.add(KeyGrant("app", "acme"), at=now[0])
    known = await store.known_secrets()
    ring = ApiKeyCache(keys, kept, lambda: known, clock=lambda: now[0])
    await ring.refresh()
    assert await keys.last_used() == {}
    ring.lookup(text)
    await ring.refresh()
    assert await keys.last_used() == {made.id: 1000.0}
    now[0] = 1030.0
    ring.lookup(text)
    await ring.refresh()
    assert await keys.last_used() == {made.id: 1000.0}
    now[0] = 1060.0
    ring.lookup(text)
    await ring.refresh()
    assert await keys.last_used() == {made.id: 1060.0}
