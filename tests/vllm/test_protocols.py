"""What clients speak beside chat, through the router, to real vLLM servers."""

from typing import Any

import anthropic
import openai
import pytest

pytestmark = pytest.mark.vllm

CAPITAL: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def claude(router: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=router, api_key="none", max_retries=0, timeout=120)


def test_a_message_is_answered_whole_and_streamed_alike(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {
        "model": "smollm2",
        "max_tokens": 12,
        "messages": CAPITAL,
        "extra_body": {"temperature": 0},
    }
    whole = claude.messages.create(**asked)
    assert (whole.type, whole.role, whole.model) == ("message", "assistant", "smollm2")
    assert isinstance(whole.content[0], anthropic.types.TextBlock)
    assert "Paris" in whole.content[0].text
    assert whole.usage.input_tokens > 5
    assert 0 < whole.usage.output_tokens <= 12
    with claude.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().stop_reason == whole.stop_reason


def test_a_response_is_answered_whole_and_streamed_alike(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "smollm2", "max_output_tokens": 16, "temperature": 0, "input": CAPITAL}
    whole = client.responses.create(**asked)
    assert "Paris" in whole.output_text
    assert whole.usage
    assert whole.usage.input_tokens > 5
    events = list(client.responses.create(stream=True, **asked))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert events[-1].type in {"response.completed", "response.incomplete"}


def test_whoever_speaks_another_protocol_may_have_the_policy_choose_and_thumb_the_answer(
    claude: anthropic.Anthropic,
) -> None:
    message = claude.messages.create(model="auto", max_tokens=8, messages=CAPITAL)
    body = {"decision_id": message.id, "metric": "thumbs", "value": True}
    assert claude.post("/v1/feedback", body=body, cast_to=object)
