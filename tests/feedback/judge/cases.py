"""Cases, completions and arbitrary JSON for the tests of the judge."""

import math
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from hypothesis import strategies as st

from highwayman.env.types import Arm
from highwayman.feedback.judge.types import JudgeInput


def arm(name: str, url: str = "http://127.0.0.1:1", *, model: str | None = None, price: float | None = 1.0) -> Arm:
    return Arm(name, (url,), model or f"org/{name}", price, price, 4096)


def case(answer: str = "4", **options: Any) -> JudgeInput:
    options = {"messages": [{"role": "user", "content": "What is 2 + 2?"}], "arm": arm("small"), **options}
    return JudgeInput("d-1", "tenant", answer=answer, **options)


def marks() -> Callable[[int], bytes]:
    """An entropy that gives 1, 2, 3 and so on."""
    numbers: Iterator[int] = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def completion(text: str | None, *places: dict[str, float], finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A completion whose tokens have these probabilities, the first of each being the one sampled."""
    content = [
        {
            "token": next(iter(one)),
            "logprob": math.log(next(iter(one.values()))),
            "top_logprobs": [{"token": token, "logprob": math.log(share)} for token, share in one.items()],
        }
        for one in places
    ]
    said = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {"choices": [{**said, "logprobs": {"content": content} if content else None}]}


_WORDS = [
    *("choices", "message", "content", "logprobs", "top_logprobs", "token", "logprob", "finish_reason", "refusal"),
    *("error", "code", "usage", "prompt_tokens", "completion_tokens", "4", "A", '{"score": 3}'),
]
_NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400)])
JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=5) | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
TOKENS = st.lists(
    st.fixed_dictionaries(
        {"token": st.sampled_from(["4", "A", " ", '{"', "x"]) | JSON, "logprob": _NUMBERS | JSON},
        optional={"top_logprobs": st.lists(st.fixed_dictionaries({"token": JSON, "logprob": JSON}), max_size=3) | JSON},
    ),
    max_size=4,
)
COMPLETIONS = JSON | st.builds(
    lambda text, tokens, more: {"choices": [{"message": {"content": text}, "logprobs": {"content": tokens}, **more}]},
    st.sampled_from(["4", "A", '{"score": 3}', "[" * 100_000]) | JSON,
    TOKENS | JSON,
    st.dictionaries(st.sampled_from(_WORDS), JSON, max_size=2).filter(lambda one: "message" not in one),
)
