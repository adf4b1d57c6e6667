"""Calls that a chat client makes for itself beside an answer: a title, tags, follow-ups. A person never rates them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from highwayman.env.types import JsonObject
from highwayman.serving.http.asgi import Scope, header, header_map

# Beginnings of the prompts with which chat clients ask for something of their own.
KNOWN_PROMPTS = (
    # Open WebUI: title, tags, follow-ups (twice), compaction, queries, image prompt, completion of what is being typed
    # (its prompt around retrieved documents begins with "### Task:", too, and asks for an answer).
    r"### Task:\s*(Generate (a concise|1-3 broad tags|a detailed prompt)|Suggest 3-5 (relevant )?follow-up"
    r"|Predict 3-5 useful messages this user|Summarize the conversation history that will be compacted"
    r"|Analyze the chat history to determine the necessity|You are an autocompletion system)",
    r"Your task is to reflect the speaker's likely facial expression through a fitting emoji",
    # LibreChat: the title of a conversation, in its ways
    r"(Please generate|Provide) a concise, 5-word-or-less title for the conversation",
    r"Analyze this conversation and provide:\s*1\. The detected language",
    # Claude Code and NextChat: the title of a session, of a chat
    r"Please (write a \d+-\d+ word title for the following conversation|generate a four to five word title)",
)
# Beginnings of the system messages of such calls: Claude Code's titles and summaries, Open WebUI's choice of tools.
_KNOWN_SYSTEM_PROMPTS = re.compile(
    r"(You are Claude Code, [^\n]*\n+)?(Analyze if this message indicates a new conversation topic"
    r"|Generate a concise, sentence-case title|Summarize this coding conversation)"
    r"|Available Tools: [\s\S]{0,200000}?\n[ \t]*Your task is to choose and return the correct tool\(s\) from the list",
    re.IGNORECASE,
)
_ASKING = ("user", "system")  # LibreChat has put its instruction into either
_READ_CHARS = 512  # of a prompt; what tells of a task stands at its beginning
_NO_TASKS = frozenset({"", "default", "none", "chat"})  # what a header says of an ordinary message


@dataclass(frozen=True, slots=True)
class ClientTasks:
    """How a client's own calls are recognised."""

    headers: Sequence[str]  # lower case, whose value names the task
    prompts: Sequence[re.Pattern[str]]  # of the newest message, matched at its beginning
    _names: frozenset[bytes] = field(init=False, repr=False, compare=False)  # of the headers, as they come

    def __post_init__(self) -> None:
        """Note which headers are looked for, so that a request without any of them is soon seen to be."""
        object.__setattr__(self, "_names", frozenset(name.encode() for name in self.headers))

    def matches(self, scope: Scope, body: JsonObject) -> bool:
        """Return whether a request is a client's own task, by its headers or by how its newest message begins."""
        if not self._names.isdisjoint(header_map(scope)) and any(
            _names_task(header(scope, name)) for name in self._names
        ):
            return True
        messages = body.get("messages")
        if not messages or type(messages) is not list:
            return False
        text = _beginning(messages[-1])
        for prompt in self.prompts:
            if prompt.match(text) is not None:
                return True
        return _is_told_a_task(messages[0])


def client_tasks(headers: Sequence[str], prompts: Sequence[str]) -> ClientTasks:
    """Return what recognises tasks: those known here and those that `prompts` (regular expressions) match."""
    known = "|".join(f"(?:{prompt})" for prompt in KNOWN_PROMPTS)  # ours go together: none has flags of its own
    patterns = [re.compile(prompt, re.IGNORECASE) for prompt in (known, *prompts)]
    return ClientTasks([name.lower() for name in headers], patterns)


def _names_task(value: str | None) -> bool:
    """Return whether a header's value names a task; a placeholder that a client left as it was names none."""
    return value is not None and value.strip().lower() not in _NO_TASKS and not value.strip().startswith("{{")


def _is_told_a_task(first: JsonObject) -> bool:
    """Return whether a conversation's first message is the system message of a task."""
    content = first.get("content") if first.get("role") == "system" else None
    if isinstance(content, list):
        content = next((part.get("text") for part in content if part.get("type") == "text"), None)
    return isinstance(content, str) and _KNOWN_SYSTEM_PROMPTS.match(content.lstrip()) is not None


def _beginning(message: JsonObject) -> str:
    content = message.get("content") if message.get("role") in _ASKING else None
    if type(content) is list:
        content = next((part.get("text") for part in content if part.get("type") == "text"), None)
    return content[:_READ_CHARS].strip() if type(content) is str else ""
