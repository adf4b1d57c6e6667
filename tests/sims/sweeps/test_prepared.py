from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.features.tags import Tag
from highwayman.env.errors import ConfigError
from highwayman.sims.baselines.protocol import BaselineError
from highwayman.sims.sweeps.plan import BASELINES, Plan
from highwayman.sims.sweeps.prepared import fixed_penalties, label
from highwayman.sims.tables.table_schema import VALUES
from tests.sims.sweeps.small import ARMS, encoder, plan, prepared, table

TABLE = table(20)
READY = prepared(TABLE)


def test_every_prompt_has_the_context_that_production_would_give_it() -> None:
    asked = encoder()
    contexts = READY.contexts()
    assert len(contexts) == TABLE.n
    assert READY.features.shape == (TABLE.n, asked.d)
    assert {context.fingerprint for context in contexts} == {READY.fingerprint} == {asked.fingerprint}
    assert (READY.features[:, -1] == 1.0).all()
    assert contexts[0].features[:3] != pytest.approx(contexts[1].features[:3])  # of cats, and of code
    assert READY.prompt_tokens == tuple(context.prompt_tokens for context in contexts)
    assert min(READY.prompt_tokens) >= 1


def test_texts_stay_behind_and_the_rest_is_sent() -> None:
    assert set(READY.table.prompts) == {""}
    assert READY.table.tasks == TABLE.tasks
    assert READY.table.quality.tobytes() == TABLE.quality.tobytes()


def test_baselines_that_a_table_does_not_allow_are_listed_with_the_reason() -> None:
    bare = prepared(table(20, priced=False, tasks=False), plan(baselines=BASELINES))
    assert set(bare.missing) == {"cheapest", "task mean"}
    assert "no arm of the table has a cost" in bare.missing["cheapest"]
    assert "it needs a column `task`" in bare.missing["task mean"]
    assert set(bare.choices) == {label(name) for name in BASELINES} - set(bare.missing)
    assert not prepared(TABLE, plan(baselines=BASELINES)).missing


def test_a_baseline_that_does_not_exist_is_not_taken_for_one_that_a_table_does_not_allow() -> None:
    with pytest.raises(BaselineError, match="no baseline 'best'"):
        prepared(TABLE, Plan(policies=("LinTS",), baselines=("best",)))


def test_a_baseline_of_ones_own_keeps_its_path_for_a_name() -> None:
    path = "highwayman.sims.baselines.best_fixed:BestFixed"
    assert set(prepared(TABLE, plan(baselines=(path,))).choices) == {path}


def test_what_a_baseline_chooses_does_not_depend_on_which_others_there_are() -> None:
    together = prepared(TABLE, plan(baselines=BASELINES)).choices
    for name in ("knn", "ridge", "task_mean"):
        alone = prepared(TABLE, plan(baselines=(name,))).choices
        assert alone[label(name)].tobytes() == together[label(name)].tobytes()


def test_baselines_mind_cost_as_the_first_cost_weight_says() -> None:
    free, dear = (prepared(TABLE, plan(baselines=BASELINES, cost_weights=(w, 0.1))).choices for w in (0.0, 10.0))
    for name in ("best fixed", "static mixture", "ridge", "knn", "oracle"):
        assert dear[name][:, 0].all(), name
        assert not free[name][:, 0].all(), name


def test_choices_are_probabilities_on_the_arms() -> None:
    for name, choices in prepared(TABLE, plan(baselines=BASELINES)).choices.items():
        assert choices.shape == (TABLE.n, 3), name
        assert choices.sum(axis=1) == pytest.approx(1.0), name


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(VALUES), st.integers(0, 19), st.integers(0, 2), st.floats(0.0, 1.0))
def test_the_digest_changes_with_any_cell(column: str, row: int, arm: int, value: float) -> None:
    values = getattr(TABLE, column).copy()
    same = values[row, arm] == value
    values[row, arm] = value
    assert (prepared(replace(TABLE, **{column: values})).digest == READY.digest) == same


@pytest.mark.parametrize("texts", ["prompts", "tasks", "prompt_ids", "datasets"])
def test_the_digest_changes_with_any_text(texts: str) -> None:
    changed: dict[str, Any] = {texts: ("another", *getattr(TABLE, texts)[1:])}
    assert prepared(replace(TABLE, **changed)).digest != READY.digest


def test_the_digest_is_of_the_table_whatever_is_done_with_it() -> None:
    assert prepared(TABLE, plan(arms=2)).digest == READY.digest
    assert prepared(replace(TABLE, arms=("x", *ARMS[1:]))).digest != READY.digest


def test_so_many_arms_are_spread_over_the_range_of_quality_and_more_than_there_are_is_all() -> None:
    assert prepared(TABLE, plan(arms=2)).table.arms[-1] == "large"
    assert len(prepared(TABLE, plan(arms=2)).table.arms) == 2
    assert set(prepared(TABLE, plan(arms=9)).table.arms) == set(ARMS)


def test_a_table_without_a_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="t: has 'small' alone; a sweep needs two arms or more"):
        prepared(TABLE.with_arms(["small"]))


def test_arms_and_baselines_are_worth_what_the_tables_means_say() -> None:
    arms = prepared(TABLE, plan(baselines=("random", "best_fixed"))).arms(Objective("auto", 750.0))
    quality, cost = TABLE.quality.mean(axis=0), TABLE.cost_usd.mean(axis=0)
    price = 7.5 * cost
    best = int((quality - price).argmax())
    assert arms.names == ARMS
    assert arms.quality == pytest.approx(quality)
    assert arms.cost_usd == pytest.approx(cost)
    assert arms.penalty == pytest.approx(price)
    random, fixed = arms.baselines["random"], arms.baselines["best fixed"]
    assert random.value == pytest.approx((quality - price).mean())
    assert (random.quality, random.cost_usd) == pytest.approx((quality.mean(), cost.mean()))
    assert fixed.value == pytest.approx((quality - price)[best])
    assert (fixed.quality, fixed.cost_usd) == pytest.approx((quality[best], cost[best]))
    assert arms.hull[0] == pytest.approx((cost[0], quality[0]))


def test_an_arm_without_a_price_is_as_dear_as_the_dearest_and_is_left_out_of_the_hull_and_remarked_on() -> None:
    costs = TABLE.cost_usd.copy()
    costs[0, 2] = np.nan
    ready = prepared(replace(TABLE, cost_usd=costs))
    small, middle, large = fixed_penalties(ready.table, Objective("auto", 750.0))
    assert small < middle == large
    assert np.isnan(ready.arms(Objective("auto", 750.0)).cost_usd[2])
    assert max(cost for cost, _ in ready.arms(Objective("auto", 750.0)).hull) < 0.01
    assert ready.notes() == ["large: no cost for every prompt, so taken to be as dear as the dearest"]


def test_a_reader_is_told_what_is_missing() -> None:
    assert READY.notes() == []
    bare = prepared(replace(table(20, priced=False), left_out=1234))
    assert bare.arms(Objective("auto", 750.0)).hull == ()
    left_out, no_cost, cheapest = bare.notes()
    assert left_out == "1,234 prompts are left out, which not every arm has answered"
    assert no_cost == "no arm has a cost for every prompt, so value is quality alone"
    assert cheapest.startswith("no baseline cheapest: ")


def test_a_declared_tag_is_told_by_the_tables_column_of_its_name() -> None:
    full = replace(table(60), labels={"app": ("mail", "", "editor") * 20})
    by = plan(context=(Tag("app", ("editor", "mail")), Tag("task", slots=1)), tags=("task",))
    told = prepared(full, by)
    assert told.features[:3, :5].tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert [tag.fingerprint for tag in by.context] == told.fingerprint.rpartition("/tags-")[2].split("+")
    with pytest.raises(ConfigError, match="t: says nothing of the tag 'mood'; it has task, app"):
        prepared(full, plan(context=(Tag("mood"),)))
    with pytest.raises(ConfigError, match="tags must have different names"):
        plan(context=(Tag("mood"), Tag("mood", slots=2)))


def test_a_tables_task_is_told_as_a_tag() -> None:
    full = replace(table(60), tasks=("maths", "code", "poems") * 20)
    plain, tagged = prepared(full, plan()), prepared(full, plan(tags=("task",)))
    assert (tagged.features[:, 4:] == plain.features).all()
    assert tagged.features[:3, :4].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert tagged.fingerprint == plain.fingerprint + "/tags-task.4"
    with pytest.raises(ConfigError, match="give task or dataset"):
        plan(tags=("mood",)).check()
