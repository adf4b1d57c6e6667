from pathlib import Path
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.env.pool.changes.pool_changes import (
    ArmEdit,
    add_arm,
    change_arm,
    changed_pool,
    remove_arm,
    reset_arm,
    with_changes,
)
from highwayman.env.pool.pool_file import load_pool, parse_entries

POOL = """
arms:
  everything:
    endpoints: [http://10.0.0.1:8000, http://10.0.0.2:8000]
    model: m
    usd_per_mtok_in: 0.05
    usd_per_mtok_out: 1
    usd_per_mtok_cached_in: 0.01
    context_window_tokens: 131072
    modalities: [text, image]
    tools: true
    tags: {zone: eu}
    wh_per_mtok: 12.5
    power_url: http://10.0.0.1:9400/metrics
    state: probation
    profile: {system: Be brief., few_shot: [{user: 1+1, assistant: "2"}], temperature: 0, max_tokens: 64}
    api_key_env: UPSTREAM_KEY
  launched: {model: m, price: unknown, launch: {model: ./m, port: 8001, max_model_len: 2048}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pool.yaml"
    path.write_text(POOL)
    return path


def edit(**entry: Any) -> ArmEdit:
    return ArmEdit(entry, "somebody", 5.0)


def test_arms_come_back_from_their_entries_as_the_file_gave_them_launched_ones_with_the_server_they_have(
    file: Path,
) -> None:
    pool = load_pool(file)
    assert parse_entries(pool.entries, name="again").arms == pool.arms
    assert pool.entries["launched"]["endpoints"] == ["http://127.0.0.1:8001"]
    assert "launch" not in pool.entries["launched"], "what is launched may hold a secret in its environment"


def test_a_price_takes_the_place_of_the_whole_price_that_was(file: Path) -> None:
    pool = load_pool(file)
    changes = change_arm(pool.entries, {}, "everything", edit(price="unknown"))
    changes = change_arm(pool.entries, changes, "launched", edit(usd_per_mtok_in=1.0, usd_per_mtok_out=2.0))
    everything, launched = changed_pool(pool, changes).arms
    assert not everything.has_price
    assert (launched.usd_per_mtok_in, launched.usd_per_mtok_out) == (1.0, 2.0)


def test_changes_of_one_arm_add_up_and_go_together(file: Path) -> None:
    pool = load_pool(file)
    changes = change_arm(pool.entries, {}, "everything", edit(price="unknown"))
    changes = change_arm(pool.entries, changes, "everything", edit(state="draining"))
    assert changes["everything"].entry == {"price": "unknown", "state": "draining"}
    assert changed_pool(pool, reset_arm(pool.entries, changes, "everything")) == pool


def test_an_arm_that_was_added_and_changed_is_gone_once_it_is_reset(file: Path) -> None:
    entries = load_pool(file).entries
    changes = add_arm(entries, {}, "new", edit(endpoint="http://h:1", model="n"))
    changes = change_arm(entries, changes, "new", edit(state="draining"))
    assert with_changes(entries, changes)["new"]["state"] == "draining"
    assert "new" not in with_changes(entries, reset_arm(entries, changes, "new"))


def test_what_lies_over_an_arm_that_the_file_no_longer_has_is_nothing(file: Path) -> None:
    entries = load_pool(file).entries
    changes = change_arm(entries, {}, "launched", edit(state="draining"))
    left = {"everything": entries["everything"]}
    assert with_changes(left, changes) == left


def test_a_key_of_the_routers_environment_is_sent_nowhere_but_where_the_file_sends_it(file: Path) -> None:
    pool = load_pool(file)
    given = {"model": "m", "price": "unknown", "context_window_tokens": 100, "api_key_env": "UPSTREAM_KEY"}
    there = add_arm(pool.entries, {}, "new", edit(**given, endpoint="http://10.0.0.1:8000"))
    assert changed_pool(pool, there).arms[-1].api_key_env == "UPSTREAM_KEY"
    for wanted in (
        {**given, "endpoint": "http://elsewhere"},
        {**given, "endpoints": ["http://10.0.0.1:8000", "http://elsewhere"]},
        {**given, "endpoint": "http://10.0.0.1:8000", "api_key_env": "HOME"},
        {**given, "endpoint": "http://10.0.0.1:8000", "headers": {"x-key": "${HOME}"}},
        {**given, "api_key_env": None, "endpoint": "http://elsewhere", "headers": {"x-key": "a ${UPSTREAM_KEY}"}},
    ):
        with pytest.raises(ConfigError, match="belongs into the file"):
            add_arm(pool.entries, {}, "new", edit(**wanted))


def test_what_cannot_be_done_says_why(file: Path) -> None:
    entries = load_pool(file).entries
    gone = remove_arm(entries, {}, "launched", ArmEdit(None, "somebody", 5.0))
    for cause, doing in {
        "no arm 'lunched' (did you mean 'launched'?)": lambda: change_arm(entries, {}, "lunched", edit(state="active")),
        "no arm 'launched'": lambda: change_arm(entries, gone, "launched", edit(state="active")),
        "an arm 'launched' already": lambda: add_arm(entries, {}, "launched", edit(model="m")),
        "no model": lambda: add_arm(entries, {}, "new", edit(endpoint="http://h:1")),
        "the pool's only arm": lambda: remove_arm(entries, gone, "everything", ArmEdit(None, "somebody", 5.0)),
        "is as the pool file has it": lambda: reset_arm(entries, {}, "launched"),
    }.items():
        with pytest.raises(ConfigError) as refused:
            doing()
        assert cause in str(refused.value)
    with pytest.raises(ConfigError, match="the pool, as changed: arm 'everything': both `price` and usd_per_mtok_in"):
        changed_pool(load_pool(file), {"everything": edit(price="unknown", usd_per_mtok_in=1.0)})
