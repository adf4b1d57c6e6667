import pytest

from highwayman.env.upstream.answers.endings import Ending, account_of_answer, account_of_status
from highwayman.env.upstream.answers.tool_refusals import refuses_tools

REFUSALS = [
    # what servers say, word for word: vLLM, llama.cpp, Ollama, OpenAI, Groq, OpenRouter, Gemini,
    # Bedrock, LiteLLM, FastAPI
    (400, r'{"object": "error", "message": "\"auto\" tool choice requires --enable-auto-tool-choice and '
          r'--tool-call-parser to be set", "code": 400}'),
    (400, '{"error": {"message": "tool_choice=\\"required\\" requires --tool-call-parser to be set"}}'),
    (500, '{"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}}'),
    (400, '{"error": {"message": "registry.ollama.ai/library/gemma:2b does not support tools", "type": "api_error"}}'),
    (400, """{"error": {"message": "Unsupported parameter: 'tools' is not supported with this model."}}"""),
    (400, '{"error": {"message": "tools is not supported in this model. For a list of supported models, see"}}'),
    (400, '{"error": {"message": "Unrecognized request argument supplied: tools"}}'),
    (400, '{"error": {"message": "`tool calling` is not supported with this model"}}'),
    (404, '{"error": {"message": "No endpoints found that support tool use. To learn more about provider routing"}}'),
    (400, '{"error": {"message": "Function calling is not enabled for models/gemma-3-27b-it"}}'),
    (400, '{"message": "This model doesn\'t support tool use."}'),
    (400, "litellm.UnsupportedParamsError: x does not support parameters: ['tools', 'tool_choice'], for model=m"),
    (422, '{"detail": [{"loc": ["body", "tools"], "msg": "Extra inputs are not permitted"}]}'),
]  # fmt: skip

# what servers say of a request that is wrong by itself: another arm would say the same
FAULTS = [
    "Invalid 'tools[0].function.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
    "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"'",
    "Missing required parameter: 'tools[0].function'.",
    "tools.0.custom.name: Extra inputs are not permitted",
    '{"detail": [{"loc": ["body", "tools", 0, "x"], "msg": "Extra inputs are not permitted"}]}',
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
    "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
    "Unsupported parameter: 'max_tokens' is not supported with this model.",
    "This model does not support image input.",
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_server_that_takes_no_tools_is_understood_whoever_made_it(status: int, body: str) -> None:
    assert account_of_status(status, body.encode(), {}, now=0.0).ending is Ending.TOOLS_REFUSED


@pytest.mark.parametrize("body", FAULTS)
def test_a_request_that_is_wrong_by_itself_is_no_refusal_of_tools(body: str) -> None:
    assert not refuses_tools(body)
    assert account_of_status(400, body.encode(), {}, now=0.0).ending is Ending.CALLERS_FAULT


def test_a_refusal_told_inside_a_200_is_one_and_a_busy_server_that_speaks_of_tools_is_not() -> None:
    assert account_of_answer({"error": {"message": "m does not support tools"}}).ending is Ending.TOOLS_REFUSED
    assert account_of_status(429, b"m does not support tools", {}, now=0.0).ending is Ending.ARMS_FAULT
