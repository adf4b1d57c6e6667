from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Feedback
from highwayman.feedback.log.record import Record
from highwayman.serving.dashboard.views.decisions.statements import reward_figure, statements
from tests.feedback.worlds import decision


def test_the_words_of_an_erased_statement_are_not_shown() -> None:
    said = {"2-0": Feedback("1", "d", 2.0, "user", "comment", 1.0, text="my name is")}
    (shown,) = statements(Record(decision("d"), "1-0", feedback=said, erased_feedback={"1": "3-0"}), DEFAULT_SPEC)
    assert (shown.standing, shown.text) == ("erased", "")


def test_each_statement_says_what_it_changed() -> None:
    said = {
        "2-0": Feedback("1", "d", 2.0, "user", "thumbs", 1.0),
        "3-0": Feedback("2", "d", 3.0, "user", "comment", None, text="well"),
        "4-0": Feedback("3", "d", 4.0, "user", "rating", 3.0),
    }
    shown = statements(Record(decision("d"), "1-0", feedback=said), DEFAULT_SPEC)
    assert [(each.value, each.before, each.after) for each in shown] == [
        ("yes", None, 1.0),
        ("taken back", 1.0, 1.0),
        ("3", 1.0, 0.75),
    ]
    figure = reward_figure(shown, "red")
    assert figure is not None
    (line,) = figure.data()["series"]
    assert line["y"] == [1.0, 1.0, 0.75, 0.75]
