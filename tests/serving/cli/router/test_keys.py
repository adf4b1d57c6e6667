"""The commands of `highwayman keys`, against a real Valkey."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from highwayman.serving.cli.main import main


@pytest.fixture
def place(valkey_url: str, namespace: str, tmp_path: Path) -> list[str]:
    config = tmp_path / "highwayman.yaml"
    config.write_text(f"namespace: {namespace}\n")
    return ["--redis-url", valkey_url, "--config", str(config)]


def keys(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def listed(place: list[str]) -> list[dict[str, Any]]:
    done = keys("list", "--json", *place)
    assert done.exit_code == 0, done.output
    return list(json.loads(done.output))


def test_a_key_is_shown_once_and_listed_with_everything_but_itself(place: list[str]) -> None:
    done = keys("add", "the app", "--tenant", "acme", "--influence", "0.2", "--rate", "5", *place)
    assert done.exit_code == 0, done.output
    text = next(word for word in done.output.split() if word.startswith("hwk-"))
    assert "it cannot be shown again" in done.output
    (one,) = listed(place)
    assert one.items() >= {"name": "the app", "tenant": "acme", "scopes": ["answers", "feedback"]}.items()
    assert one.items() >= {"state": "active", "influence": 0.2, "rate_per_s": 5.0}.items()
    shown = keys("list", *place)
    assert one["id"] in shown.output
    assert text not in shown.output + json.dumps(one)
    assert "mac" not in one


def test_scopes_are_those_that_were_named(place: list[str]) -> None:
    done = keys("add", "ops", "--tenant", "acme", "--scope", "admin", "--scope", "admin", "--json", *place)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["scopes"] == ["admin"]


def test_a_revoked_key_is_listed_as_such_and_only_it(place: list[str]) -> None:
    for name in ("a", "b"):
        assert keys("add", name, "--tenant", "acme", *place).exit_code == 0
    first, second = listed(place)
    done = keys("revoke", first["id"], *place)
    assert done.exit_code == 0, done.output
    assert first["id"] in done.output
    assert [one["state"] for one in listed(place)] == ["revoked", "active"]
    assert second["name"] == "b"


def test_names_that_look_like_markup_are_shown_as_they_are(place: list[str]) -> None:
    assert keys("add", "[red]x[/]", "--tenant", "acme", *place).exit_code == 0
    assert "[red]x[/]" in keys("list", *place).output.replace("\n", "")


def test_where_there_are_no_keys_the_list_says_what_that_means(place: list[str]) -> None:
    assert "the router is open to anybody who can reach it" in keys("list", *place).output.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("revoke", "key-none"), "there is no key 'key-none'"),
        (("add", "x", "--tenant", ""), "tenant must be a name, got ''"),
        (("add", "x", "--tenant", "t", "--influence", "nan"), "influence must be in (0, 1], got nan"),
        (("add", "x", "--tenant", "t", "--rate", "inf"), "rate_per_s must be > 0, got inf"),
    ],
)
def test_what_cannot_be_is_told_in_a_line_and_nothing_is_made(
    place: list[str], words: tuple[str, ...], says: str
) -> None:
    done = keys(*words, *place)
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output
    assert listed(place) == []


def test_a_redis_that_is_away_is_told_in_a_line() -> None:
    done = keys("list", "--redis-url", "redis://127.0.0.1:1/0")
    assert done.exit_code == 1
    assert "Redis did not answer" in done.output
