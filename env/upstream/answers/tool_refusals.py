"""How servers say that they take no tools: each in its own words, which are not those for a tool that is malformed."""

import re
from typing import Final

MAY_SPEAK_OF_TOOLS: Final = frozenset({400, 404, 405, 422, 500, 501})

# What servers call them, in whatever quotes; `parallel_tool_calls` is another thing.
_TOOLS: Final = (
    r"(?<!\w)[`'\"\\]*(?:tools|tool[ _-]?(?:calls?|calling|choice|use|usage)|functions?[ _-]?call(?:s|ing)?)[`'\"\\]*"
)
_NO_EXTRAS: Final = r"extra (?:inputs|fields) are not permitted"
_PHRASES: Final = (
    # vLLM: "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set
    r"--enable-auto-tool-choice|--tool-call-parser",
    # llama.cpp: tools param requires --jinja flag
    rf"{_TOOLS}(?: param(?:eter)?)? requires --jinja",
    # Ollama: NAME does not support tools. Bedrock: This model doesn't support tool use. DeepSeek: does not support
    # Function Calling. LiteLLM: NAME does not support parameters: ['tools', 'tool_choice']
    rf"(?:does not|doesn['’]?t|do not|don['’]?t|cannot|can['’]?t) (?:currently )?(?:support|call|use|accept|allow)"
    rf"(?: (?:the )?parameters?:? ?\[?| the use of| using)? ?{_TOOLS}",
    # OpenAI: Unsupported parameter: 'tools' is not supported with this model. Groq: `tool calling` is not supported
    # with this model. Gemini, Mistral: Function calling is not enabled for this model
    rf"{_TOOLS}(?: param(?:eter)?)? (?:is|are) (?:currently )?"
    r"(?:not (?:yet )?(?:supported|enabled|available|allowed)|unsupported|disabled)",
    # OpenRouter: No endpoints found that support tool use
    rf"no endpoints? found that supports? {_TOOLS}",
    # OpenAI: Unrecognized request argument supplied: tools
    rf"(?:unrecognized request arguments? supplied|(?:unknown|unsupported) (?:field|parameter|argument)s?):? ?{_TOOLS}"
    r"(?![.\[\w])",
    # Servers whose schema forbids what it does not name, in FastAPI's words and in Anthropic's
    rf"[\"']body[\"'], ?{_TOOLS}\][^{{}}]{{0,80}}{_NO_EXTRAS}",
    rf"(?<![.\w]){_TOOLS}: {_NO_EXTRAS}",
)
_REFUSAL: Final = re.compile("|".join(_PHRASES), re.IGNORECASE)


def refuses_tools(text: str) -> bool:
    """Return whether the words of a refusal say that the server takes no tools, whatever they are."""
    return _REFUSAL.search(text) is not None
