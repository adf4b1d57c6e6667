"""The commands of `highwayman keys`, against a real Valkey."""

import json
import time
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


def test_a_terminal_of_80_columns_shows_words_and_days_of_every_key_whole(place: list[str]) -> None:
    limits = ("--requests-per-minute", "100", "--tokens-per-day", "5000000", "--usd-per-day", "5")
    assert keys("add", "chat-frontend", "--tenant", "acme", "--expires", "90d", *limits, *place).exit_code == 0
    (key,) = listed(place)
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["keys", "list", *place]).stdout
    assert max(map(len, shown.splitlines())) <= 80
    days = [time.strftime("%Y-%m-%d", time.gmtime(key[name])) for name in ("created_at", "expires_at")]
    words = (key["id"], key["prefix"], "chat-frontend", "acme", "answers", "feedback", "active", *days)
    assert set(words) <= set(shown.split())
    assert all(limit in shown for limit in ("100 requests/minute", "5,000,000 tokens/day", "5 usd/day")), shown


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


def test_the_first_key_says_what_closes_and_what_stays_open_and_the_second_does_not(place: list[str]) -> None:
    first, second = (keys("add", name, "--tenant", "acme", *place).output for name in ("a", "b"))
    assert "from now on every request needs one" in first
    assert "/readyz" in first
    assert "scope admin" in first
    assert "from now on" not in second


def test_a_key_that_expires_and_has_limits_is_listed_with_both_and_with_how_it_begins(place: list[str]) -> None:
    limits = ("--requests-per-minute", "100", "--usd-per-month", "25")
    done = keys("add", "app", "--tenant", "acme", "--expires", "90d", *limits, *place)
    assert done.exit_code == 0, done.output
    text = next(word for word in done.output.split() if word.startswith("hwk-"))
    (key,) = listed(place)
    assert key["limits"] == {"requests_per_minute": 100.0, "usd_per_month": 25.0}
    assert key["expires_at"] - key["created_at"] == 90 * 86_400
    assert key["prefix"] == text[:8]
    assert key["last_used_at"] is None


def test_a_rotated_key_keeps_its_id_and_limits_and_has_another_text(place: list[str]) -> None:
    made = json.loads(keys("add", "app", "--tenant", "acme", "--tokens-per-day", "9", "--json", *place).stdout)
    done = keys("rotate", "app", "--grace", "1h", "--json", *place)
    assert done.exit_code == 0, done.output
    rotated = json.loads(done.stdout)
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    (key,) = listed(place)
    assert key["limits"] == {"tokens_per_day": 9.0}
    assert "previous_mac" not in key


@pytest.mark.parametrize("value", ["90", "d", "-1d", "90 days", "nand"])
def test_a_duration_that_is_none_is_told_with_what_would_be_one(place: list[str], value: str) -> None:
    done = keys("add", "app", "--tenant", "acme", f"--expires={value}", *place)
    assert done.exit_code == 2
    assert "write 90d, 12h, 30m or 45s" in done.output.replace("\n", " ")


def test_a_name_that_several_keys_have_is_no_name_to_rotate_or_revoke_one_by(place: list[str]) -> None:
    for _ in range(2):
        assert keys("add", "app", "--tenant", "acme", *place).exit_code == 0
    for command in ("rotate", "revoke"):
        done = keys(command, "app", *place)
        assert done.exit_code == 1
        assert "several keys are called 'app'" in done.output
