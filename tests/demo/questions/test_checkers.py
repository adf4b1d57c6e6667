"""Checkers accept what a user would thumb up, and nothing else."""

import pytest

from highwayman.demo.questions.checkers import Checker, detail, either, exactly, heading, json_object, names, number

VERDICTS = {"good": ("good", "great", "positive"), "bad": ("bad", "negative")}
NOTE = "The train to Oslo leaves at 3:30."

RIGHT = [
    (names("Paris"), "The capital of France is Paris."),
    (names("Brasilia", "Brasília"), "It is BRASÍLIA"),
    (names("CO2", "carbon dioxide"), "Plants take in carbon dioxide."),
    (either("good", VERDICTS), "Good."),
    (either("bad", VERDICTS), "The review is bad"),
    (either("good", VERDICTS), "positive"),
    (either("bad", VERDICTS), "This review is negative."),
    (either("bad", VERDICTS), "This review is negative and not good."),
    (number(21), "12 + 9 = 21"),
    (number(24), "17 + 7 = 24. The answer is 2"),  # cut off
    (number(26), "10 + 16 = 26, which is the sum of 10 and 16."),
    (number(15), "9 + 6 = **15**. You can check it: 15 - 9 leaves 6 coins."),
    (number(17), "To add 8 and 9, you can add them both together, which is 17."),
    (number(21), "The answer is 21."),
    (number(1200), "That makes 1,200"),
    (number(5), "5.0"),
    (exactly("THE RED BIRD"), ' "THE RED BIRD."\n'),
    (exactly("$35"), "**$35**"),
    (exactly("<h1>the old boat</h1>"), "<h1>the old boat</h1>"),
    (heading("the old boat"), "```html\n<h2>The Old Boat</h2>\n```"),
    (detail("time", "3:30", note=NOTE), "3:30"),
    (detail("time", "3:30", note=NOTE), "The train leaves at 3:30."),
    (detail("price", "$33", note="Rosa paid $33 for the headset."), "The headset cost 33 dollars."),
    (detail("month", "May", note="The tent was sold in May."), "may"),
    (exactly("Rome", ignore_case=True), "rome"),
    (json_object({"name": "Ada", "city": "Oslo"}), '```json\n{"city": "Oslo", "name": "Ada"}\n```'),
    (json_object({"name": "Ada", "city": "Oslo"}), '{\n  "name": "Ada",\n  "city": "Oslo"\n}'),
]

WRONG = [
    (names("Paris"), "The capital of France is Parisian food."),
    (names("Sun"), "The star closest to Sunday"),
    (names("Paris"), ""),
    (either("good", VERDICTS), "It is good, but also bad"),
    (either("good", VERDICTS), "goodness"),
    (either("bad", VERDICTS), "This review is positive, but a bit harsh. It's not a bad film."),
    (either("bad", VERDICTS), "It's not bad."),
    (either("good", VERDICTS), "This review is positive, but it could be improved."),
    (either("bad", VERDICTS), "The tour was boring and dreadful."),
    (number(21), "12 + 9 = 22"),
    (number(24), "17 + 7 = 2"),
    (number(35), "15 is 15, 20 is 20."),
    (number(20), "14 + 6 = 20. The answer is 26."),
    (number(20), "20 buttons is 20 x 10 = 200 buttons."),
    (number(21), "21 is less than 30"),
    (number(21), "twenty-one"),
    (number(21), "-21"),
    (exactly("THE RED BIRD"), "The red bird"),
    (exactly("THE RED BIRD"), "THE RED BIRD is here"),
    (exactly("<h1>the old boat</h1>"), "the old boat"),
    (heading("the old boat"), "The Old Boat"),
    (heading("the old boat"), "<h1>the old boat is a boat</h1>"),
    (detail("time", "3:30", note=NOTE), NOTE),  # nothing is found in it
    (detail("time", "3:30", note=NOTE), "3:30:10"),
    (detail("time", "3:30", note=NOTE), "3:30 + 11 = 121"),
    (detail("time", "3:30", note=NOTE), "The train leaves at 3:30 PM."),  # the note does not say so
    (detail("month", "May", note="The tent was sold in May."), "May is the month after April"),
    (detail("email", "leo@fernbank.org", note="Write to leo@fernbank.org before May."), "The photos to leo."),
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
