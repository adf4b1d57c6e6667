"""What is not served here, and which route to take instead: for those who come from another API."""

from typing import Final

_KEPT_NOWHERE: Final = "no answers are kept here: POST /v1/responses with the whole conversation in `input`"
_CHAT: Final = "POST /v1/chat/completions with the whole conversation in `messages`"
_EACH: Final = (
    "send each request to its own route; `highwayman allocate` plans a batch of prompts for the pool within a budget"
)
_BY_NAME: Final = "the pool file names no model for it: put one under `by_name:` (docs/reference/protocols.md)"
# The longest beginning of a path counts.
_INSTEAD: Final = {
    "/v1/responses/": _KEPT_NOWHERE,
    "/v1/conversations": _KEPT_NOWHERE,
    "/v1/assistants": _CHAT,
    "/v1/threads": _CHAT,
    "/v1/chat/completions/": f"no answers are kept here: {_CHAT}",
    "/v1/messages/batches": _EACH,
    "/v1/batches": _EACH,
    "/v1/complete": "POST /v1/messages, or /v1/completions",
    "/v1/embeddings": _BY_NAME,
    "/v1/audio": _BY_NAME,
    "/v1/files": "put a file's data into the message that is about it, as a part of type `file`",
    "/v1/uploads": "put a file's data into the message that is about it, as a part of type `file`",
    "/v1/realtime": "POST /v1/chat/completions with `stream: true`",
    "/v1/images": "no arm makes pictures: ask a server that does; POST /v1/chat/completions reads them",
    "/v1/videos": "no arm makes films: ask a server that does",
    "/v1/moderations": "no arm moderates: ask a server that does",
    "/v1/rerank": "no arm ranks: ask a server that does",
    "/v1/fine_tuning": "arms are served as they are; GET /v1/decisions/{id} says what feedback was given on an answer",
    "/v1/vector_stores": "no documents are kept here: put them into the conversation",
    "/api/chat": _CHAT,
    "/api/generate": "POST /v1/completions, or /v1/chat/completions",
    "/api/tags": "GET /v1/models",
    "/v1beta/": _CHAT,
    "/model/": "POST /v1/messages, which Bedrock's clients of Anthropic's speak with another base URL",
}


def not_served(method: str, path: str) -> str:
    """Return what is said of a path that no route has, with the route to take instead where there is one."""
    beginnings = [beginning for beginning in _INSTEAD if path.startswith(beginning)]
    instead = f": {_INSTEAD[max(beginnings, key=len)]}" if beginnings else "; see /docs"
    return f"{method} {path} is not served here{instead}."
