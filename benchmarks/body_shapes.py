"""Bodies of any size in many shapes, valid and not, and small ones mutated: what `benchmarks.bodies` and tests send."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHAT, COMPLETIONS, FEEDBACK = "/v1/chat/completions", "/v1/completions", "/v1/feedback"
IMPORT, SCORES = "/api/v1/evaluations/feedbacks/import", "/api/public/ingestion"


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of body, and how to make one of about a size in bytes."""

    name: str
    path: str
    make: Callable[[int], bytes]


def _filled(head: bytes, unit: bytes, tail: bytes) -> Callable[[int], bytes]:
    """Return what repeats `unit`, a list's or an object's member with its comma, or a piece of a string, to a size."""
    return lambda size: (head + unit * max(1, (size - len(head) - len(tail)) // len(unit))).rstrip(b",") + tail


_CHAT = b'{"model":"auto","messages":'
_TEXT = _CHAT + b'[{"role":"user","content":"'
_PROMPT = b'{"model":"auto","prompt":'
_TOOLS = _CHAT + b'[{"role":"user","content":"Hi"}],"tools":['
_TOOL = (
    b'{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}},'
)
_LONG_MESSAGE = b'{"role":"user","content":"%s"},' % (b"word " * 800)
_PART = b'{"type":"text","text":"%s"},' % (b"a" * 99)


def _distinct_keys(size: int) -> bytes:
    keys = b",".join(b'"%x":1' % number for number in range(size // 10))
    return _CHAT + b'[{"role":"user","content":"Hi"}],' + keys + b"}"


SHAPES = (
    Shape("messages of ones", CHAT, _filled(_CHAT + b"[", b"1,", b"]}")),
    Shape("prompt of ones", COMPLETIONS, _filled(_PROMPT + b"[", b"1,", b"]}")),
    Shape("prompt of mixed lists", COMPLETIONS, _filled(_PROMPT + b"[", b'[1,"a",null],', b"]}")),
    Shape("empty lists", COMPLETIONS, _filled(_PROMPT + b"[", b"[],", b"]}")),
    Shape("distinct keys", CHAT, _distinct_keys),
    Shape("the same key", CHAT, _filled(b"{", b'"model":"auto",', b"}")),
    Shape("unknown keys of feedback", FEEDBACK, _filled(b'{"decision_id":"x","value":true,', b'"k":1,', b"}")),
    Shape("deep", CHAT, _filled(_CHAT, b"[", b"")),
    Shape("an unclosed list", CHAT, _filled(_CHAT + b"[", b'{"role":"user"},', b"")),
    Shape("a huge number", COMPLETIONS, _filled(_PROMPT + b"[", b"1", b"]}")),
    Shape("not a number", COMPLETIONS, _filled(_PROMPT + b"[", b"1e999,NaN,", b"]}")),
    Shape("lone surrogates", CHAT, _filled(_TEXT, b"\\ud800", b'"}]}')),
    Shape("blanks", CHAT, _filled(b"{", b" ", b"}")),
    Shape("no JSON", CHAT, _filled(b"", b"\xff", b"")),
    Shape("one latin text", CHAT, _filled(_TEXT, b"Why is it so? ", b'"}]}')),
    Shape("one chinese text", CHAT, _filled(_TEXT, "\u4e3a\u4ec0\u4e48".encode(), b'"}]}')),
    Shape("one text of emoji", CHAT, _filled(_TEXT, "\U0001f600".encode(), b'"}]}')),
    Shape("one text of escapes", CHAT, _filled(_TEXT, b"\\n", b'"}]}')),
    Shape("one text of unicode escapes", CHAT, _filled(_TEXT, b"\\u4e2d", b'"}]}')),
    Shape("one text of code", CHAT, _filled(_TEXT, b"for (x = [a, b]; x; ) { f(x); } ", b'"}]}')),
    Shape("one text of blanks", CHAT, _filled(_TEXT, b" ", b'"}]}')),
    Shape("many messages", CHAT, _filled(_CHAT + b"[", b'{"role":"user","content":"Hi"},', b"]}")),
    Shape("long messages", CHAT, _filled(_CHAT + b"[", _LONG_MESSAGE, b"]}")),
    Shape("many parts", CHAT, _filled(_CHAT + b'[{"role":"user","content":[', _PART, b"]}]}")),
    Shape("giant tools", CHAT, _filled(_TOOLS, _TOOL, b"]}")),
    Shape("token ids", COMPLETIONS, _filled(_PROMPT + b"[", b"10123456789012,", b"]}")),
    Shape("long texts to complete", COMPLETIONS, _filled(_PROMPT + b"[", b'"%s",' % (b"word " * 800), b"]}")),
    Shape("one text to complete", COMPLETIONS, _filled(_PROMPT + b'"', b"word ", b'"}')),
    Shape("an import of nothing", IMPORT, _filled(b"[", b"{},", b"]")),
    Shape("a batch of nothing", SCORES, _filled(b'{"batch":[', b"[],", b"]}")),
)  # fmt: skip


VALID = (
    (CHAT, {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "temperature": 0.5}),
    (CHAT, {"model": "auto", "stream": True, "stream_options": {"include_usage": True}, "n": 2, "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    ]}),
    (CHAT, {"model": "auto", "user": "u", "metadata": {"session_id": "s"}, "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"}]}),
    (CHAT, {"model": "auto", "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "Hi"}]}),
    (COMPLETIONS, {"model": "auto", "prompt": "Once", "max_tokens": 3}),
    (COMPLETIONS, {"model": "auto", "prompt": ["Once", "Twice"]}),
    (COMPLETIONS, {"model": "auto", "prompt": [[1, 2], [3]]}),
    (FEEDBACK, {"decision_id": "hw-x", "metric": "thumbs", "value": True, "comment": "Good."}),
    (FEEDBACK, {"request_id": "r", "value": 1, "idempotency_key": "k", "user": "u"}),
    (FEEDBACK, {"conversation_id": "c", "value": None}),
)  # fmt: skip

_KEYS = ("x", "seed", "stop", "logprobs", "metadata", "user", "")
_INSERTS = (
    b"", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\ud800", b"\\u0000", b"\x00", b"\xff", b"NaN", b"-",
    b"1e999", b"1" * 30, b"1" * 400, b"null", b"true", b"-1", b"0", b"0.1", b"[]", b"{}", b'""', b"[[[[", b"A" * 600,
    b'"model":1,',
)  # fmt: skip
_VALUES = (
    None, True, False, 0, -1, 2**62, 2**63, 2**70, -(2**80), 0.5, 1e308, "", "A", "\ud800", "\x00", "x" * 700, [], [[]],
    {}, [None], [1, "a"], [{}], {"a": 1}, {"type": "image_url"}, {"include_usage": 1}, [[1], "a"],
)  # fmt: skip


def mutated(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield paths and bodies without end: valid ones, with bytes or values of theirs changed."""
    while True:
        path, body = rng.choice(VALID)
        body = json.loads(json.dumps(body))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            _change_value(body, rng)
        raw = bytearray(json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass"))
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2, 5))):
            place = rng.randrange(len(raw) + 1)
            raw[place : place + rng.choice((0, 0, 1, 1, 5, 40))] = rng.choice(_INSERTS)
        yield (path if rng.random() < 0.95 else rng.choice((CHAT, COMPLETIONS, FEEDBACK))), bytes(raw)


def _change_value(value: object, rng: random.Random) -> None:
    """Change, add or take out one value somewhere inside."""
    while isinstance(value, dict | list) and value:
        places: list[str] | list[int] = list(value) if isinstance(value, dict) else list(range(len(value)))
        place = rng.choice(places)  # type: ignore[arg-type]
        inner = value[place]  # type: ignore[index]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.6:
            value = inner
            continue
        if rng.random() < 0.15:
            del value[place]  # type: ignore[arg-type]
        elif isinstance(value, dict) and rng.random() < 0.1:
            value[rng.choice(("x", "seed", "stop", "logprobs", "metadata", "user", ""))] = copy.deepcopy(
                rng.choice(_VALUES)
            )
        else:
            value[place] = copy.deepcopy(rng.choice(_VALUES))  # type: ignore[index]
        return
