"""How one attempt at an arm ended: settled here, once, from a status, a body or an error."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import aiohttp
import pydantic_core

from highwayman.env.errors import UpstreamError
from highwayman.env.upstream.answers.tool_refusals import MAY_SPEAK_OF_TOOLS, refuses_tools
from highwayman.env.upstream.answers.usage_report import parse_reported_usage

_ARMS_FAULT: Final = frozenset({401, 402, 403, 404, 408, 409, 425, 429})  # and whatever is no 200 and no 4xx
_MAY_SPEAK_OF_WINDOW: Final = frozenset({400, 413, 422})
_TOLD_AS_IT_IS: Final = frozenset({429, 503})  # statuses that tell a caller to come again; any other failure is a 502
TOO_LATE: Final = "it did not answer in time"  # in words, of an attempt that was given up
_LONGEST_REST_S: Final = 3600.0
_SCANNED_CHARS: Final = 4_000  # of an error's words

# vLLM and OpenAI: "This model's maximum context length is 4096 tokens", code context_length_exceeded. Anthropic:
# "prompt is too long: 208310 tokens > 200000 maximum". llama.cpp: "request (4390 tokens) exceeds the available context
# size (4096 tokens)", type exceed_context_size_error, n_ctx. SGLang: "longer than the model's context length (4096
# tokens)". Others (Gemini, Bedrock, TGI) in the words of the last lines.
_WINDOW: Final = re.compile(
    r"context[ _-]?(?:length|window|size)|maximum (?:model|sequence|prompt|input) length|max_model_len"
    r"|(?:prompt|input|request)[^.]{0,40} (?:is )?too (?:long|large) for (?:the |this )?model|prompt (?:is )?too long"
    r"|input is too long for requested model|input token count[^.]{0,40}exceeds|too many (?:input |prompt )?tokens"
    r"|exceeds? (?:the )?(?:model'?s )?max(?:imum)?(?: number of)? (?:input )?tokens"
    r"|must have less than \d+ tokens|inputs` tokens \+ `max_new_tokens",
    re.IGNORECASE,
)
_WINDOW_TOKENS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r'"?n_ctx"?\s*[:=]\s*(\d+)',
        r"available context size \((\d+) tokens\)",
        r"> (\d+) maximum",
        r"context (?:length|window|size)(?: of)?(?: is| is only|:| \()? ?(?:only )?(\d+)",
        r"(?:maximum|max)[a-z_ ]{0,30}(?:length|tokens)[a-z ]{0,20}? (?:is|of) (\d+)",
        r"limited to (\d+)",
    )
)
# vLLM: "The model `x` does not exist." OpenAI: code model_not_found. Ollama: model "x" not found, try pulling it first.
# OpenRouter and LiteLLM say so with a 400: "x is not a valid model ID", "Invalid model name passed in model=x".
_MODEL_MISSING: Final = re.compile(
    r"\bmodel\b[^\n]{0,300}?(?:does not exist|not found)|model_not_found|not a valid model id|invalid model name",
    re.IGNORECASE,
)
# What is said with a 400 and yet to whoever runs the router: of its key (Gemini), of its account (Anthropic: "Your
# credit balance is too low", DeepSeek: Insufficient Balance, OpenAI: billing_hard_limit_reached, Alibaba: Arrearage).
_OPERATORS: Final = re.compile(
    r"\bapi[ _-]?key\b|credit balance|insufficient[ _](?:account[ _])?(?:balance|credits?|funds|quota)"
    r"|billing[ _](?:hard[ _])?limit|exceeded your current quota|arrearage",
    re.IGNORECASE,
)
# What one model does not do and another may: OpenAI: "Unsupported parameter: 'max_tokens' is not supported with this
# model", "'temperature' does not support 0.2 with this model", "image_url is only supported by certain models". vLLM:
# "x is not a multimodal model". OpenRouter: "No endpoints found that support image input".
_DECLINED: Final = re.compile(
    r"unsupported_(?:parameter|value)|not support(?:ed)?\b[^\n]{0,80}\b(?:with|by|for|in) (?:this|the) model"
    r"|(?:this|the) model (?:does not|doesn['’]t|cannot|can['’]t) (?:currently )?(?:support|accept|process|handle)"
    r"|only supported by certain models|not a multimodal model|no endpoints found that"
    r"|does not support (?:image|audio|video|vision|multimodal)|(?:image|audio) input is not supported",
    re.IGNORECASE,
)
_MODERATED: Final = re.compile(r"\bflagged\b|\bmoderation\b", re.IGNORECASE)  # OpenRouter's 403
_LOGPROBS: Final = re.compile(r"logprobs", re.IGNORECASE)  # who asks for these besides, asks the arm again without them
_MAY_DECLINE: Final = frozenset({400, 404, 422, 501})
_NOT_SAID: Final = frozenset({"role", "name", "provider_specific_fields"})  # of a message or a delta
_NOT_IN_PARTS: Final = frozenset({"type", "format", "index", "id"})  # of a list of parts
_TOO_LARGE: Final = frozenset({413, 414, 431})


class Ending(StrEnum):
    """How one attempt at an arm ended. Health, journal, meters and policy read this; nobody looks at a status again."""

    ANSWERED = "answered"
    CALLERS_FAULT = "callers_fault"  # reaches the caller; where it says what only this model does not do, if all say so
    ARMS_FAULT = "arms_fault"  # another replica, then another arm is tried
    WINDOW_TOO_SMALL = "window_too_small"  # an arm with a larger one is tried
    TOOLS_REFUSED = "tools_refused"  # its server takes none: another arm is tried, then all without the tools
    BROKE_OFF = "broke_off"  # after the first meaningful event: the caller is told
    OVERTAKEN = "overtaken"  # after a rest it was no faster than another could be: it is nobody's fault
    CLIENT_LEFT = "client_left"


@dataclass(frozen=True, slots=True)
class Account:
    """How an attempt ended, and what follows from it."""

    ending: Ending
    why: str = ""  # in words for a client: no addresses, nothing that the server said
    status: int = 502  # what the caller gets where nobody else answers
    rest_s: float | None = None  # for which the endpoint asked to be left alone
    window_tokens: int | None = None  # where the window was too small, and the server said how large it is
    model_missing: bool = False  # whether the server does not know the model, such as an adapter that it has not loaded
    others_may: bool = False  # whether it is only this arm that does not do what is asked: others are tried
    told: bytes = b""  # of a refusal inside a 200: what reaches the caller


ANSWERED: Final = Account(Ending.ANSWERED, status=200)


class AttemptFailed(UpstreamError):
    """One attempt failed; another may be made."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.why, status=account.status)
        self.account = account


def account_of_status(status: int, body: bytes, headers: Mapping[str, str], *, now: float) -> Account:
    """Return the account of an answer by its status (`ANSWERED` for a 200, whatever its body then says).

    Args:
        status: of the answer.
        body: of one that is no 200, as far as it was read.
        headers: names in any case, as aiohttp's own mapping.
        now: seconds since the epoch, for a Retry-After that is a date.
    """
    if status == 200:
        return ANSWERED
    text = body[:_SCANNED_CHARS].decode("utf-8", "replace")
    if status in _MAY_SPEAK_OF_WINDOW and _WINDOW.search(text):
        return _window(text, status)
    if status in MAY_SPEAK_OF_TOOLS and refuses_tools(text):
        return Account(Ending.TOOLS_REFUSED, "it takes no tools", status)
    if _declines(status, text):
        return Account(Ending.CALLERS_FAULT, f"answered {status}", status, others_may=True)
    if status in _ARMS_FAULT or not 400 <= status < 500 or _is_not_about_the_request(status, text):
        rest_s = _rest_s(headers, now=now)
        told = status if status in _TOLD_AS_IT_IS else 502
        missing = status in (400, 404) and _MODEL_MISSING.search(text) is not None
        return Account(Ending.ARMS_FAULT, f"answered {status}", told, rest_s=rest_s, model_missing=missing)
    return Account(Ending.CALLERS_FAULT, f"answered {status}", status)


def account_of_exception(error: BaseException) -> Account:
    """Return the account of a call that ended in an error before its answer was whole."""
    if isinstance(error, AttemptFailed):
        return error.account
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Account(Ending.ARMS_FAULT, "no connection to it could be made in time", 504)
    if isinstance(error, TimeoutError):
        return Account(Ending.ARMS_FAULT, TOO_LATE, 504)
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return Account(Ending.ARMS_FAULT, "no connection to it could be made")
    return Account(Ending.ARMS_FAULT, f"the connection broke ({type(error).__name__})")


def account_of_answer(answer: Any) -> Account:
    """Return the account of a whole answer (parsed) that came with a 200."""
    failure = account_of_event(answer)
    if failure is not None:
        return failure
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not (isinstance(choices, list) and choices and all(map(_says_something, choices))):
        return Account(Ending.ARMS_FAULT, "answered without choices")
    if all(map(says_no_more_than_stop, choices)) and has_written_nothing(answer):
        return Account(Ending.ARMS_FAULT, "ended without an answer")
    return ANSWERED


def account_of_event(event: Any) -> Account | None:
    """Return the account of an event or answer (parsed) that tells of an error, None for any other."""
    if not isinstance(event, dict):
        return None
    error = event.get("error") or (event if "error" in (event.get("object"), event.get("type")) else None)
    choices = event.get("choices")
    if not error and choices is None:
        error = event.get("detail")  # FastAPI's, and so of many a server
    if not error and isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and (choice.get("error") or choice.get("finish_reason") == "error"):
                error = choice.get("error") or "error"  # not the choice: what it says is nobody's refusal
                break
    if not error:
        return None
    text = str(pydantic_core.to_json(error, serialize_unknown=True), "utf-8", "replace")[:_SCANNED_CHARS]
    if _WINDOW.search(text):
        return _window(text, 400)
    if refuses_tools(text):
        return Account(Ending.TOOLS_REFUSED, "it takes no tools", 400)
    return _by_code(error, text)


def is_meaningful(event: Any) -> bool:
    """Return whether an event (parsed) has something of the answer: words, a call, an end; no role, no empty piece."""
    choices = event.get("choices") if isinstance(event, dict) else None
    return isinstance(choices, list) and any(isinstance(choice, dict) and _begins(choice) for choice in choices)


def says_no_more_than_stop(choice: Any) -> bool:
    """Return whether a choice (of an answer or a chunk) has come to a plain end, and says nothing beside it."""
    is_end = isinstance(choice, dict) and choice.get("finish_reason") == "stop"
    said = choice.get("message") or choice.get("delta") or {} if is_end else None
    return isinstance(said, dict) and not (said.get("content") or choice.get("text") or _pieces(said))


def has_written_nothing(answer: Any) -> bool:
    """Return whether an answer or chunk (parsed) tells that a prompt was read, and no token written.

    A model may well end its turn without a word, and its end is a token then; a server that writes none has failed.
    """
    usage = parse_reported_usage(answer)
    return usage is not None and bool(usage.tokens_in) and usage.tokens_out == 0


def retry_after_s(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header (seconds, or an HTTP date) asks for, an hour at most, or None."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_REST_S) if math.isfinite(seconds) else None


def _rest_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that a failure asks for; OpenAI's and Azure's servers say it in milliseconds, too."""
    try:
        seconds = float(headers.get("retry-after-ms", "")) / 1000.0
    except ValueError:
        return retry_after_s(headers.get("retry-after"), now=now)
    return retry_after_s(str(seconds), now=now)


def _window(text: str, status: int) -> Account:
    sizes = (match for pattern in _WINDOW_TOKENS if (match := pattern.search(text.replace(",", ""))))
    size = next(sizes, None)
    tokens = int(size[1][:12]) if size is not None else 0
    return Account(
        Ending.WINDOW_TOO_SMALL, "its context window is too small", status, window_tokens=tokens if tokens > 0 else None
    )


def _declines(status: int, text: str) -> bool:
    if status == 403:
        return _MODERATED.search(text) is not None
    return status in _MAY_DECLINE and _DECLINED.search(text) is not None and not _LOGPROBS.search(text)


def _is_not_about_the_request(status: int, text: str) -> bool:
    """Return whether a 4xx is about the router's account, or its model, or comes as a page: of what lies between."""
    if status == 400 and (_OPERATORS.search(text) or _MODEL_MISSING.search(text)):
        return True
    return status not in _TOO_LARGE and text.lstrip()[:1] == "<"


def _by_code(error: Any, text: str) -> Account:
    """Return the account of an error inside a 200 by the status that it gives as its code, if it gives one."""
    why, code = "answered with an error", error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdecimal()) else 0
    if not 400 <= status <= 599:
        return Account(Ending.ARMS_FAULT, why)
    account = account_of_status(status, text.encode(), {}, now=0.0)
    told = pydantic_core.to_json({"error": error}, serialize_unknown=True)
    return replace(account, why=why, told=b"" if account.ending is Ending.ARMS_FAULT else told)


def _says_something(choice: Any) -> bool:
    return isinstance(choice, dict) and (isinstance(choice.get("message"), dict) or isinstance(choice.get("text"), str))


def _begins(choice: Mapping[str, Any]) -> bool:
    delta = choice.get("delta")
    return bool(
        choice.get("text")
        or choice.get("finish_reason")
        or isinstance(choice.get("message"), dict)
        or (isinstance(delta, dict) and _pieces(delta))
    )


def _pieces(said: Mapping[str, Any]) -> bool:
    """Return whether a message or a delta has anything in it but whose it is."""
    return any(value and not _is_empty(value) for name, value in said.items() if name not in _NOT_SAID)


def _is_empty(value: Any) -> bool:
    """Return whether a value is parts of which none has anything in it but what it is, such as empty thoughts."""
    if not isinstance(value, list):
        return False
    return all(
        part and isinstance(part, dict) and not any(part[name] for name in part.keys() - _NOT_IN_PARTS)
        for part in value
    )
