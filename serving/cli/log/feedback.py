"""The commands of `highwayman feedback`: what came with a key, quarantined, released, or gone for good."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import redis.asyncio as aioredis

from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.upkeep.erasure import Erasure
from highwayman.feedback.trust.api_keys import KeyState, KeyStore
from highwayman.feedback.trust.quarantine import Quarantine
from highwayman.serving.cli.context import LogOptions, log_options, print_report
from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.log.erase import NewErasure, confirm_erasure, find_erasure, yes_option
from highwayman.serving.cli.log.log import NotEqual, open_archive, run_erasure
from highwayman.serving.state.learner_factory import LearnerFactory

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")
_key = click.argument("key_id", metavar="KEY")
_archive = click.option(
    "--archive", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder `export` has written."
)


@click.group(cls=PlainErrorGroup)
def feedback() -> None:
    """Look after what came with an API key, named by its id (see `highwayman keys list`)."""


@feedback.command()
@_key
@click.option("--since", type=float, help="Only what came since, in seconds since the epoch.")
@_archive
@_json
@log_options
async def quarantine(  # noqa: PLR0917  (one parameter per option)
    options: LogOptions, key_id: str, since: float | None, archive: Path | None, as_json: bool
) -> None:
    """Quarantine everything that came with KEY, and what will come: it is kept, and does not count."""
    async with options.open(for_all=True) as (client, factory):
        keys = KeyStore(client, factory.config.namespace, factory.store(client))
        api_key = await keys.set_state(key_id, KeyState.QUARANTINED, why="by hand", since=since)
        count = await _apply_quarantine(
            client, factory, archive, QuarantineChange(key_id, quarantined=True, since=since)
        )
    print_report({"key": key_id, "state": api_key.state, "statements_set_aside": count}, as_json=as_json, of=factory)


@feedback.command()
@_key
@_archive
@_json
@log_options
async def release(options: LogOptions, key_id: str, archive: Path | None, as_json: bool) -> None:
    """Let everything count again that came with KEY and was quarantined, and what will come."""
    async with options.open(for_all=True) as (client, factory):
        keys = KeyStore(client, factory.config.namespace, factory.store(client))
        api_key = await keys.set_state(key_id, KeyState.ACTIVE)
        count = await _apply_quarantine(client, factory, archive, QuarantineChange(key_id, quarantined=False))
    print_report(
        {"key": key_id, "state": api_key.state, "statements_that_count_again": count}, as_json=as_json, of=factory
    )


@feedback.command()
@_key
@_archive
@yes_option
@_json
@log_options
async def forget(  # noqa: PLR0917  (one parameter per option)
    options: LogOptions, key_id: str, archive: Path | None, yes: bool, as_json: bool
) -> None:
    """Revoke KEY, and take everything that came with it off the log and out of what was learned, and prove it.

    First it shows what would go, and asks.
    """
    async with options.open(for_all=True) as (client, factory):
        keys = KeyStore(client, factory.config.namespace, factory.store(client))
        await keys.get(key_id)  # an id that is not known is told, before anybody is asked
        new_erasure: NewErasure = partial(Erasure, pseudonyms=(), keys=(key_id,))
        if not yes:
            confirm_erasure(await find_erasure(client, factory, archive, new_erasure), f"key {key_id}", factory)
        await keys.set_state(key_id, KeyState.REVOKED)
        quarantines = Quarantine(factory.store(client), factory.retention(client))
        await quarantines.withdraw_change_notices([key_id], at=time.time())
        report, proven = await run_erasure(client, factory, archive, new_erasure)
    print_report({"key": key_id, "state": "revoked", **report}, as_json=as_json, of=factory)
    if not proven:
        raise NotEqual("something that came with this key is left, or the state is not the fold of what is; see above")


@dataclass(frozen=True, slots=True)
class QuarantineChange:
    """A key's feedback, to be quarantined or released."""

    key_id: str
    quarantined: bool
    since: float | None = None  # seconds since the epoch


async def _apply_quarantine(
    client: "aioredis.Redis", factory: LearnerFactory, archive: Path | None, change: QuarantineChange
) -> int:
    opened_archive = open_archive(archive, factory) if archive is not None else None
    quarantines = Quarantine(factory.store(client), factory.retention(client), opened_archive)
    after = START if change.since is None else f"{int(change.since * 1000)}-0"
    return await quarantines.follow_key(change.key_id, quarantined=change.quarantined, clock=time.time, after=after)
