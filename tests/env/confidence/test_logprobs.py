import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.confidence.logprobs import Logprobs
from highwayman.env.confidence.signal import FinishedAnswer, read_signals


def chat(*tokens: tuple[float, list[float]]) -> FinishedAnswer:
    content = [
        {
            "token": "t",
            "logprob": logprob,
            "top_logprobs": [{"token": str(k), "logprob": at} for k, at in enumerate(top)],
        }
        for logprob, top in tokens
    ]
    return FinishedAnswer({}, {"choices": [{"message": {"content": "t"}, "logprobs": {"content": content}}]})


def test_the_signals_of_two_tokens_are_those_worked_out_by_hand() -> None:
    sure, unsure = [math.log(0.9), math.log(0.1)], [math.log(0.4), math.log(0.4), math.log(0.2)]
    told = Logprobs().read(chat((math.log(0.9), sure), (math.log(0.4), unsure)))
    assert told["token_logprob"] == pytest.approx((math.log(0.9) + math.log(0.4)) / 2)
    assert told["tail_logprob"] == pytest.approx(math.log(0.4))
    assert told["first_margin"] == pytest.approx(0.8)
    assert told["min_margin"] == pytest.approx(0.0)
    entropies = [-sum(p * math.log(p) for p in probs) for probs in ((0.9, 0.1), (0.4, 0.4, 0.2))]
    assert told["entropy"] == pytest.approx(sum(entropies) / 2)


def test_the_tail_is_the_least_probable_tenth() -> None:
    told = Logprobs().read(chat(*[(-3.0, []), (-2.0, []), *[(-0.1, [])] * 18]))
    assert told["tail_logprob"] == pytest.approx(-2.5)
    assert set(told) == {"token_logprob", "tail_logprob"}  # nobody says how likely the others were


def test_the_answer_of_a_completion_tells_the_same() -> None:
    lists = {"token_logprobs": [-0.1, -0.5], "top_logprobs": [{"a": -0.1, "b": -3.0}, {"c": -0.5, "d": -1.0}]}
    completion = FinishedAnswer({}, {"choices": [{"text": "ac", "logprobs": lists}]})
    assert Logprobs().read(completion) == Logprobs().read(chat((-0.1, [-0.1, -3.0]), (-0.5, [-0.5, -1.0])))


def test_what_a_server_leaves_out_is_missing_and_no_zero() -> None:
    assert Logprobs().read(FinishedAnswer({}, {"choices": [{"message": {"content": "x"}}]})) == {}
    assert Logprobs().read(chat()) == {}


def test_a_margin_needs_two_tokens_to_be_asked_for() -> None:
    assert Logprobs().asks_for == {"logprobs": True, "top_logprobs": 5}
    with pytest.raises(ValueError, match="between 2 and 20"):
        Logprobs(top=1)


junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["content", "logprob", "top_logprobs", "token_logprobs", "token"]), inner, max_size=3
    ),
    max_leaves=12,
)  # fmt: skip


@given(junk)
def test_whatever_stands_there_the_signals_are_finite(logprobs: Any) -> None:
    told = read_signals([Logprobs()], FinishedAnswer({}, {"choices": [{"logprobs": logprobs}]}))
    assert all(map(math.isfinite, told.values()))
    assert set(told) <= set(Logprobs.names)
