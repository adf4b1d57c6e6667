"""Whether an arm says the same when it is asked again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from highwayman.env.confidence.signal import FinishedAnswer
from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.self_consistency import conclusion, first_choice_text

_MOST_SAMPLES: Final = 16
# A seed would draw the same sample each time; the others make no sense of a sample that only its conclusion is read of.
_LEFT_OUT: Final = frozenset({"stream", "stream_options", "seed", "n", "logprobs", "top_logprobs"})


class Agreement:
    """`agreement`: the share of so many further samples that come to what the answer comes to.

    Consistency of samples as a cascade's gate: Yue et al., "Large Language Model Cascades with Mixture of Thought
    Representations", ICLR 2024 (arXiv 2310.03094). What an answer comes to is its last number, or else its words
    (`self_consistency.py`): free prose therefore seldom agrees.
    """

    names = ("agreement",)
    asks_for: Mapping[str, Any] = {}
    asks = ""
    uses_profile = True

    def __init__(self, *, samples: int = 2, temperature: float = 0.7) -> None:
        """Draw so many samples, at this temperature where the caller has none above 0. Raises ValueError."""
        if not 1 <= samples <= _MOST_SAMPLES:
            raise ValueError(f"samples must lie between 1 and {_MOST_SAMPLES}, not {samples}")
        if not 0 < temperature <= 2:
            raise ValueError(f"temperature must lie above 0, and at 2 at most, not {temperature}")
        self.calls = samples
        self._temperature = temperature

    def questions(self, finished: FinishedAnswer) -> Sequence[JsonObject]:
        """Return the request once for each sample; nothing where tools were called, or nothing was said."""
        transcript = finished.transcript()
        if transcript.tool_calls or not transcript.text.strip():
            return []
        body = {name: value for name, value in finished.request.items() if name not in _LEFT_OUT}
        body["temperature"] = body.get("temperature") or self._temperature
        return [body] * self.calls

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return the signal, none where no sample came."""
        if not finished.replies:
            return {}
        own = conclusion(finished.transcript().text)
        agreeing = [conclusion(first_choice_text(reply)) == own for reply in finished.replies]
        return {"agreement": sum(agreeing) / len(agreeing)}
