"""Checkers accept what a user would thumb up, and nothing else."""

import pytest

from highwayman.demo.questions.checkers import Checker, exactly, json_object, label, names, number

RIGHT = [
    (names("Paris"), "The capital of France is Paris."),
    (names("Brasilia", "Brasília"), "It is BRASÍLIA"),
    (names("CO2", "carbon dioxide"), "Plants take in carbon dioxide."),
    (label("good", ("good", "bad")), "Good."),
    (label("bad", ("good", "bad")), "The review is bad"),
    (number(21), "12 + 9 = 21"),
    (number(21), "The answer is 21."),
    (number(1200), "That makes 1,200"),
    (number(5), "5.0"),
    (exactly("THE RED BIRD"), ' "THE RED BIRD."\n'),
    (exactly("$35"), "**$35**"),
    (exactly("<h1>the old boat</h1>"), "<h1>the old boat</h1>"),
    (exactly("Rome", ignore_case=True), "rome"),
    (json_object({"name": "Ada", "city": "Oslo"}), '```json\n{"city": "Oslo", "name": "Ada"}\n```'),
    (json_object({"name": "Ada", "city": "Oslo"}), '{\n  "name": "Ada",\n  "city": "Oslo"\n}'),
]

WRONG = [
    (names("Paris"), "The capital of France is Parisian food."),
    (names("Sun"), "The star closest to Sunday"),
    (names("Paris"), ""),
    (label("good", ("good", "bad")), "It is good, but also bad"),
    (label("good", ("good", "bad")), "goodness"),
    (label("good", ("good", "bad")), "positive"),
    (number(21), "12 + 9 = 22"),
    (number(21), "21 is less than 30"),
    (number(21), "twenty-one"),
    (number(21), "-21"),
    (exactly("THE RED BIRD"), "The red bird"),
    (exactly("THE RED BIRD"), "THE RED BIRD is here"),
    (exactly("<h1>the old boat</h1>"), "the old boat"),
    (exactly("$35"), "35"),
    (json_object({"name": "Ada", "city": "Oslo"}), '{"name": "Ada"}'),
    (json_object({"name": "Ada", "city": "Oslo"}), '{"name": "Ada", "city": "Oslo"'),
    (json_object({"name": "Ada", "city": "Oslo"}), 'Here: {"name": "Ada", "city": "Oslo"}'),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_right_answers_are_accepted(check: Checker, answer: str) -> None:
    assert check(answer)


@pytest.mark.parametrize(("check", "answer"), WRONG)
def test_wrong_answers_are_refused(check: Checker, answer: str) -> None:
    assert not check(answer)
