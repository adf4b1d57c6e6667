"""The command `highwayman erase`: a person's traces, shown, asked about, and removed."""

import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError
from highwayman.feedback.intake.decision_ids import DecisionIds, pseudonym
from highwayman.feedback.log.upkeep.erasure import ErasableArchive, Erasure
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.serving.cli.context import LogOptions, log_options, print_report
from highwayman.serving.cli.log.log import NotEqual, open_archive, run_erasure
from highwayman.serving.state.learner_factory import LearnerFactory

NewErasure = Callable[[Retention, ErasableArchive | None], Erasure]
yes_option = click.option("--yes", is_flag=True, help="Do not ask first; for scripts.")


@click.command()
@click.option("--user", required=True, help="The person, as callers name them in `user` or `safety_identifier`.")
@click.option("--tenant", "tenants", multiple=True, help="Whose person; needed where several tenants know the name. "
              "May be given several times.")  # fmt: skip
@click.option(
    "--archive", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder `export` has written."
)
@yes_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def erase(  # noqa: PLR0917  (one parameter per option)
    options: LogOptions, user: str, tenants: tuple[str, ...], archive: Path | None, yes: bool, as_json: bool
) -> None:
    """Remove a person from the log, the archive and what was learned, and prove it.

    First it shows what would go, and asks.
    """
    async with options.open(for_all=True) as (client, factory):
        known = await factory.store(client).known_secrets()
        ids = DecisionIds(known, secrets.token_bytes, time.time)
        new_erasure: NewErasure = partial(
            Erasure,
            pseudonyms=[pseudonym(secret, user) for secret in known],
            tenants=tenants,
            issued_to=lambda decision_id, tenant: ids.issued_at(decision_id, tenant) is not None,
        )
        planned = await find_erasure(client, factory, archive, new_erasure)
        if not tenants and len(planned.tenants) > 1:
            raise ConfigError(
                f"{user} is a person of the tenants {', '.join(planned.tenants)}: say with --tenant whose is meant (it "
                "may be given several times); nothing was erased"
            )
        if not yes:
            confirm_erasure(planned, user, factory)
        report, proven = await run_erasure(client, factory, archive, new_erasure)
    print_report(report, as_json=as_json, of=factory)
    if not proven:
        raise NotEqual("something of this person is left, or the state is not the fold of what is; see above")


async def find_erasure(
    client: "aioredis.Redis", factory: LearnerFactory, folder: Path | None, new_erasure: NewErasure
) -> Erasure:
    """Return the erasure with all that would go. Raises ArchiveError."""
    archive = open_archive(folder, factory) if folder is not None else None
    erasure = new_erasure(factory.retention(client), archive)
    await erasure.find()
    return erasure


def confirm_erasure(planned: Erasure, whose: str, factory: LearnerFactory) -> None:
    """Show what would go, and ask. Raises ConfigError unless the answer is yes."""
    found = planned.found.values()
    if not found:
        return  # the log holds nothing, and there is nothing to lose
    whole = [erased for erased in found if erased.whole]
    statements = sum(len(erased.feedback) for erased in found if not erased.whole)
    events = sum(len(erased.event_ids()) for erased in found)
    owners = f" of tenant {', '.join(planned.tenants)}" if planned.tenants else ""
    click.echo(
        f"Of {whose} there {'is' if len(whole) == 1 else 'are'} {_count(len(whole), 'decision')}{owners}, and "
        f"{_count(statements, 'statement')} about others' decisions: {_count(events, 'event')} in all.\n"
        f"They would go from the log{' and the archive' if planned.has_archive else ''}; so would what they taught "
        f"lineage {factory.lineage} and any other, and older versions kept for a rollback. Nothing brings them back.",
        err=True,
    )
    try:
        click.confirm("Erase them?", abort=True, err=True)
    except click.Abort:
        raise ConfigError("nothing was erased; where nobody can be asked, add --yes") from None


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
