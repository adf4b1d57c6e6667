"""The commands of `highwayman feedback`: what came with a key, set aside, back again, or gone for good."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import click
import redis.asyncio as aioredis

from highwayman.feedback.log.event_id import START
from highwayman.feedback.trust.api_keys import KeyState, KeyStore
from highwayman.feedback.trust.quarantine import Quarantine
from highwayman.serving.cli.context import Place, at_place, told
from highwayman.serving.cli.errors import PlainErrors
from highwayman.serving.cli.log import NotEqual, archive_of, erased
from highwayman.serving.state.learner_factory import Learning

_HEARD_S = 3.0  # by then every router that can be told of a key's state has been

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")
_key = click.argument("key_id", metavar="KEY")
_archive = click.option(
    "--archive", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder `export` has written."
)


@click.group(cls=PlainErrors)
def feedback() -> None:
    """Look after what came with an API key, named by its id (see `highwayman keys list`)."""


@feedback.command()
@_key
@click.option("--since", type=float, help="Only what came since, in seconds since the epoch.")
@_archive
@_json
@at_place
async def quarantine(  # noqa: PLR0917  (one parameter per option)
    place: Place, key_id: str, since: float | None, archive: Path | None, as_json: bool
) -> None:
    """Set everything aside that came with KEY, and what will come: it is kept, and does not count."""
    async with place.opened() as (client, learning):
        keys = KeyStore(client, learning.config.namespace, learning.store(client))
        known = await keys.turn(key_id, KeyState.QUARANTINED, why="by hand", since=since)
        turned = await _turned(client, learning, archive, Turn(key_id, aside=True, since=since))
    told({"key": key_id, "state": known.state, "statements_set_aside": turned}, as_json=as_json)


@feedback.command()
@_key
@_archive
@_json
@at_place
async def release(place: Place, key_id: str, archive: Path | None, as_json: bool) -> None:
    """Let everything count again that came with KEY and was set aside, and what will come."""
    async with place.opened() as (client, learning):
        keys = KeyStore(client, learning.config.namespace, learning.store(client))
        known = await keys.turn(key_id, KeyState.ACTIVE)
        turned = await _turned(client, learning, archive, Turn(key_id, aside=False))
    told({"key": key_id, "state": known.state, "statements_that_count_again": turned}, as_json=as_json)


@feedback.command()
@_key
@_archive
@_json
@at_place
async def forget(place: Place, key_id: str, archive: Path | None, as_json: bool) -> None:
    """Revoke KEY, and take everything that came with it off the log and out of what was learned, and prove it."""
    async with place.opened() as (client, learning):
        await KeyStore(client, learning.config.namespace, learning.store(client)).turn(key_id, KeyState.REVOKED)
        turning = Quarantine(learning.store(client), learning.retention(client))
        await turning.withdraw([key_id], at=time.time())
        report, proven = await erased(client, learning, archive, pseudonyms=(), keys=(key_id,))
    told({"key": key_id, "state": "revoked", **report}, as_json=as_json)
    if not proven:
        raise NotEqual("something that came with this key is left, or the state is not the fold of what is; see above")


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be turned."""

    key_id: str
    aside: bool
    since: float | None = None  # seconds since the epoch


async def _turned(client: "aioredis.Redis", learning: Learning, archive: Path | None, turn: Turn) -> int:
    kept = archive_of(archive, learning) if archive is not None else None
    turning = Quarantine(learning.store(client), learning.retention(client), kept)
    after = START if turn.since is None else f"{int(turn.since * 1000)}-0"
    turned = 0
    for pause_s in (_HEARD_S, 0.0):  # what routers and a patrol did before they heard of it is turned, too
        turned += await turning.turn([turn.key_id], aside=turn.aside, at=time.time(), after=after)
        await asyncio.sleep(pause_s)
    if turn.aside:
        await turning.withdraw([turn.key_id], at=time.time(), after=after)
    return turned
