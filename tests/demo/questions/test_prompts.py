"""Generated prompts: the same for a seed, others for another, evenly mixed, and answerable."""

import re
from collections import Counter

import pytest
import yaml

from highwayman.demo.questions.prompts import KINDS, generate
from highwayman.serving.processes.local_pool import local_pool_yaml


def texts(count: int, seed: int) -> list[str]:
    return [prompt.text for prompt in generate(count, seed=seed)]


def test_a_seed_always_gives_the_same_prompts_and_a_longer_run_begins_with_the_shorter() -> None:
    assert texts(60, seed=1) == texts(60, seed=1)
    assert texts(60, seed=1) == texts(200, seed=1)[:60]


def test_seeds_differ_in_most_prompts() -> None:
    assert len(set(texts(450, seed=1)) & set(texts(450, seed=2))) < 90


def test_no_prompt_comes_twice_and_every_five_hold_each_kind_once() -> None:
    prompts = generate(450, seed=3)
    assert len({prompt.text for prompt in prompts}) == 450
    for start in range(0, 450, len(KINDS)):
        assert Counter(prompt.kind for prompt in prompts[start : start + len(KINDS)]) == Counter(list(KINDS))


def test_the_expected_answer_passes_its_own_check() -> None:
    for prompt in generate(300, seed=4):
        for accepted in prompt.expected.split("|"):
            assert prompt.check(accepted), prompt


def test_no_prompt_is_a_worked_example_of_the_local_pool() -> None:
    arms = yaml.safe_load(local_pool_yaml("http://127.0.0.1:1"))["arms"].values()
    examples = [example for arm in arms for example in arm["profile"].get("few_shot", [])]
    shown = {example["user"] for example in examples}
    answers = {example["assistant"] for example in examples if "=" in example["assistant"]}
    assert len(shown) >= 10
    for seed in range(20):
        for prompt in generate(450, seed=seed):
            assert prompt.text not in shown
            numbers = re.findall(r"\d+", prompt.text)
            assert f"{' + '.join(numbers)} = {prompt.expected}" not in answers


def test_asking_for_more_than_there_is_says_so() -> None:
    with pytest.raises(ValueError, match="ask for fewer"):
        generate(10_000, seed=1)
