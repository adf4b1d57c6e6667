"""`erase` as an operator runs it: whose person is meant, what would go, and that it asks."""

import json
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from highwayman.env.types import Decision
from highwayman.feedback.intake.decision_ids import DecisionIds, pseudonym
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.store import Store
from highwayman.serving.cli.main import main
from tests.feedback.worlds import outcome, thumb
from tests.serving.cli.log.test_log import World

SECRET = b"s" * 32
BOB = pseudonym(SECRET, "bob")


@pytest.fixture
def world(valkey_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A namespace in which acme and default have a bob each, who rates his own answer; acme's rates ann's, too."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    world = World(valkey_url, namespace, tmp_path)
    world.at(lambda client: Store(client, namespace).secrets(SECRET, issued=False))
    world.put(
        of_tenant(world, "d", "default", user=BOB), outcome("d"), thumb("d", 1.0, user=BOB),
        of_tenant(world, "a", "acme", user=BOB), outcome("a"), thumb("a", 1.0, user=BOB),
        of_tenant(world, "ann's", "acme", user="ann"), outcome("ann's"), thumb("ann's", 0.0, user=BOB),
    )  # fmt: skip
    world.learned()
    return world


def of_tenant(world: World, name: str, tenant: str, *, user: str) -> Decision:
    return replace(world.decision(name, user=user), tenant=tenant)


def erase(world: World, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["erase", "--user", "bob", *words, *world.options], input=answer)


def left(world: World) -> list[str]:
    """Of each event that is no control, whose decision it is about."""

    def name(event: Event) -> str:
        return str(getattr(event, "decision_id", None) or getattr(event, "id", "-"))

    return [name(event) for event in world.log() if name(event) != "-"]


def test_a_tenants_person_is_erased_and_nobody_of_the_same_name_elsewhere(world: World) -> None:
    report: dict[str, Any] = json.loads(erase(world, "--tenant", "acme", "--yes", "--json").stdout)
    assert (report["decisions"], report["events_found"], report["events_left"], report["equal"]) == (1, 4, 0, True)
    assert report["lineage"] == world.learning.lineage
    assert left(world) == ["d", "d", "d", "ann's", "ann's"]


def test_a_name_that_several_tenants_know_is_not_erased_before_it_is_said_whose(world: World) -> None:
    before = left(world)
    refused = erase(world, "--yes")
    assert refused.exit_code == 1
    assert "acme, default" in refused.output
    assert "--tenant" in refused.output
    assert left(world) == before
    report = json.loads(erase(world, "--tenant", "acme", "--tenant", "default", "--yes", "--json").stdout)
    assert (report["decisions"], report["events_left"]) == (2, 0)
    assert left(world) == ["ann's", "ann's"]


def test_it_shows_what_would_go_and_does_nothing_unless_somebody_says_yes(world: World) -> None:
    before = left(world)
    for answer in ("n\n", ""):
        result = erase(world, "--tenant", "acme", answer=answer)
        assert result.exit_code == 1
        assert "1 decision of tenant acme" in result.output
        assert "1 statement about others' decisions" in result.output
        assert "4 events" in result.output
        assert "--yes" in result.output
        assert left(world) == before
        assert len(world.log()) == len(before), "no erasure was put on the log"
    result = erase(world, "--tenant", "acme", answer="y\n")
    assert result.exit_code == 0, result.output
    assert left(world) == ["d", "d", "d", "ann's", "ann's"]


def test_forgetting_what_came_with_a_key_asks_before_the_key_is_revoked(world: World) -> None:
    added = CliRunner().invoke(main, ["keys", "add", "app", "--tenant", "acme", "--json", *world.options[:4]])
    key_id = json.loads(added.stdout)["id"]
    world.put(replace(thumb("d", 0.0, user="eve"), key=key_id))
    words = ["feedback", "forget", key_id, *world.options]
    refused = CliRunner().invoke(main, words, input="n\n")
    assert refused.exit_code == 1
    assert "1 statement about others' decisions" in refused.output
    listed = CliRunner().invoke(main, ["keys", "list", "--json", *world.options[:4]])
    assert [key["state"] for key in json.loads(listed.stdout)] == ["active"]
    assert "eve" in {getattr(event, "user", "") for event in world.log()}


def test_what_is_said_of_a_decision_that_has_left_the_log_is_of_the_tenant_its_id_was_issued_to(world: World) -> None:
    ids = DecisionIds([SECRET], secrets.token_bytes, time.time)
    acmes, others = ids.issue("acme"), ids.issue("other")
    world.put(thumb(acmes, 1.0, user=BOB), thumb(others, 1.0, user=BOB))
    assert erase(world, "--tenant", "acme", "--yes").exit_code == 0
    assert left(world)[-1:] == [others]
    assert acmes not in left(world)
