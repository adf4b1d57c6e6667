import math
from collections.abc import Mapping

import pytest

from highwayman.env.confidence.loading import load_signals, shipped_signals
from highwayman.env.confidence.signal import FinishedAnswer, Signal, read_signals
from highwayman.env.errors import ConfigError


class Shouting:
    names = ("capitals",)
    asks_for: Mapping[str, object] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        return {"capitals": math.inf if finished.transcript().text.isupper() else -1e9}


def test_every_signal_shipped_can_be_had_by_its_name_and_reads_nothing_into_an_empty_answer() -> None:
    shipped = {"Agreement", "CompilingCode", "JsonFormat", "Logprobs", "Refusal", "ToolArguments", "Verification"}
    assert shipped <= set(shipped_signals())
    for signal in load_signals(list(shipped_signals())):
        assert isinstance(signal, Signal)
        assert set(signal.read(FinishedAnswer({}, {}))) <= set(signal.names)


def test_a_signal_of_ones_own_is_named_by_its_path_and_what_is_not_finite_is_left_out() -> None:
    signals = load_signals([f"{__name__}:Shouting"])
    shout, say = ({"choices": [{"message": {"content": text}}]} for text in ("NO", "no"))
    assert read_signals(signals, FinishedAnswer({}, shout)) == {}
    assert read_signals(signals, FinishedAnswer({}, say)) == {"capitals": -1000.0}


def test_options_stand_beside_the_name() -> None:
    assert load_signals([{"Logprobs": {"top": 3}}])[0].asks_for["top_logprobs"] == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Logprob", "did you mean 'Logprobs'"),
        ({"Logprobs": {"top": 0}}, "between 2 and 20"),
        ({"Logprobs": {"tops": 3}}, "tops"),
        ("json:JSONDecoder", "is no signal"),
        ("nowhere:Signal", "nowhere"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_signal_is_said(spec: str | dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_signals([spec])


def test_two_signals_must_not_tell_something_under_one_name() -> None:
    with pytest.raises(ConfigError, match="empty"):
        load_signals(["Refusal", "Refusal"])
