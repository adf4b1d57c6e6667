"""The page of routes: what FastAPI does not serve is added from the models that check the bodies."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from highwayman.env.types import JsonObject
from highwayman.feedback.integrations.adapter import FeedbackAdapter
from highwayman.serving.completions.delegated.endpoints import ROUTE_PATH
from highwayman.serving.completions.delegated.outcomes import OutcomeBody
from highwayman.serving.completions.delegated.route_view import OUTCOMES_PATH
from highwayman.serving.completions.delegated.told import ToldBody
from highwayman.serving.completions.requests.request import BODY_MODELS, CHAT_PATH, COMPLETION_PATH
from highwayman.serving.feedback.body import FeedbackBody
from highwayman.serving.feedback.vote_page import VOTE_PATH
from highwayman.serving.protocols.endpoint import PROTOCOLS
from highwayman.serving.protocols.named_models import PATHS

_FORM: Final = "multipart/form-data"
_ERROR: Final[JsonObject] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "code": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            },
        }
    },
}
_REFUSALS: Final = {
    "400": "The body cannot be followed, no model may answer it, or the model that was asked refuses it.",
    "401": "No key, or none that is known.",
    "403": "The key may not ask for answers, no model may have what is asked, or a page of another origin asks.",
    "404": "There is no such model.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "422": "The model that was asked refuses it.",
    "429": "The budget is spent, a limit of the key or its tenant is reached, or every model asks to be left alone.",
    "502": "No model server answered.",
    "503": "The router is about to end, every model asks to be left alone, or nobody can count what is limited.",
    "504": "No model server answered in time.",
}
# Groups of routes, in the order in which they are shown, and how the paths of each begin; the last: all the others.
_GROUPS: Final = {
    "Answers": (CHAT_PATH, COMPLETION_PATH, *PROTOCOLS, *PATHS, "/v1/models"),
    "Decisions without a call": (ROUTE_PATH, OUTCOMES_PATH),
    "Feedback": ("/v1/feedback", VOTE_PATH),
    "What was decided and learned": (
        "/v1/decisions",
        "/v1/policy",
        "/v1/savings",
        "/v1/history",
        "/v1/kinds",
        "/v1/map",
    ),
    "Operators": ("/v1/admin", "/v1/tournament", "/metrics", "/healthz", "/readyz"),
    "Feedback of other products": (),
}
_WHOLE_PATHS: Final = frozenset((CHAT_PATH, COMPLETION_PATH, *PROTOCOLS, *PATHS))  # others below them are others'
_OF_CALLS: Final = frozenset({"422", "502", "504"})  # that only whoever calls an arm can meet
_SUMMARIES: Final = {
    CHAT_PATH: "Answer a conversation, whole or as a stream; `model` is an alias, or an arm.",
    COMPLETION_PATH: "Go on with a prompt, whole or as a stream; `model` is an alias, or an arm.",
}


def describe_by_hand(rest: FastAPI, adapters: Sequence[FeedbackAdapter]) -> Callable[[], JsonObject]:
    """Return what gives the document of all routes: FastAPI's own, and those that it does not serve."""
    described_by_fastapi = rest.openapi

    @cache  # adapters and routes stay as they are at the start
    def openapi() -> JsonObject:
        schema = described_by_fastapi()
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["summary"] = operation.pop("description")  # what the function's docstring says
                operation["responses"].pop("422", None)  # never in FastAPI's shape: `add_errors`
                operation["responses"].setdefault("4XX", _error("See `error.message`."))
                operation["responses"].setdefault("5XX", _error("See `error.message`."))
        schema["components"] = {"schemas": {"Error": _ERROR}}
        for adapter in adapters:
            for route in adapter.routes:
                _add_route(schema["paths"], route, adapter.source)
        schema["paths"].update(_completions(), **_other_protocols(), **_delegated(), **_feedback(), **_votes())
        schema["tags"] = [{"name": group} for group in _GROUPS]
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                operation["tags"] = [_group(path)]
        return schema

    return openapi


def _group(path: str) -> str:
    """Return the group whose paths begin like this one; of several, the one with the longest beginning."""
    beginnings = {begins: group for group, those in _GROUPS.items() for begins in those if path.startswith(begins)}
    own = {begins: group for begins, group in beginnings.items() if path == begins or begins not in _WHOLE_PATHS}
    return own[max(own, key=len)] if own else [*_GROUPS][-1]


def _completions() -> JsonObject:
    answers = {
        "description": "An answer of OpenAI's shape; its id, and the header x-highwayman-decision, name the decision.",
        "content": {kind: {"schema": {"type": schema}} for kind, schema in _ANSWER_KINDS.items()},
    }
    refusals = {status: _error(text) for status, text in _REFUSALS.items()}
    return {
        path: {
            "post": {
                "summary": _SUMMARIES[path],
                "requestBody": _json_body(_schema(model)),
                "responses": {"200": answers, **refusals},
            }
        }
        for path, model in BODY_MODELS.items()
    }


def _other_protocols() -> JsonObject:
    """Return the routes of other protocols; their bodies are described where those are."""
    refusals = {status: {"description": text} for status, text in _REFUSALS.items()}
    return {
        path: {
            "post": {
                "summary": protocol.summary,
                "requestBody": _json_body({"type": "object", "required": list(protocol.required)}),
                "responses": {"200": {"description": "An answer as the protocol writes it."}, **refusals},
            }
        }
        for path, protocol in PROTOCOLS.items()
    } | {path: _passed_through(kind) for path, kind in PATHS.items()}


def _passed_through(kind: str) -> JsonObject:
    takes = [_FORM] if kind.startswith("trans") else ["application/json"]
    schema: JsonObject = {"schema": {"type": "object", "required": ["model"]}}
    refusals = {status: _error(_REFUSALS[status]) for status in ("400", "401", "403", "404", "413", "502")}
    return {
        "post": {
            "summary": f"Passed through to the model named, where the pool file has one for {kind}.",
            "requestBody": {"required": True, "content": dict.fromkeys(takes, schema)},
            "responses": {"200": {"description": "As its server answers."}, **refusals},
        }
    }


_ANSWER_KINDS: Final = {"application/json": "object", "text/event-stream": "string"}


def _delegated() -> JsonObject:
    chat, told = _schema(BODY_MODELS[CHAT_PATH]), _schema(ToldBody)
    asked = {**chat, "properties": {**chat["properties"], **told["properties"]}}
    refusals = {status: _error(text) for status, text in _REFUSALS.items() if status not in _OF_CALLS}
    unknown = _error("The decision was not made here for this key's tenant, or is too old; or no arm has that name.")
    return {
        ROUTE_PATH: {
            "post": {
                "summary": "Decide without calling: whom to ask, at which probability, and what speaks for it.",
                "requestBody": _json_body(asked),
                "responses": {"200": {"description": "The decision, which is on the log."}, **refusals},
            }
        },
        OUTCOMES_PATH: {
            "post": {
                "summary": "Say what came of a decision that you carried out; told again, the first one stands.",
                "requestBody": _json_body(_schema(OutcomeBody)),
                "responses": {
                    "200": {"description": "What stands on the log of it; `state`: logged, spooled or known."},
                    **refusals,
                    "404": unknown,
                    "409": _error("The router makes this call itself."),
                    "503": _error("The decision is not on the log yet, or Redis is away; tell it again."),
                },
            }
        },
    }


def _feedback() -> JsonObject:
    filed = {"200": {"description": "Filed."}, "4XX": _error("Refused."), "5XX": _error("Not taken; send it again.")}
    return {
        "/v1/feedback": {
            "post": {
                "summary": "Say something about an answer: a thumb, a rating, a comment; null takes it back.",
                "requestBody": _json_body(_schema(FeedbackBody)),
                "responses": filed,
            }
        },
        "/v1/feedback/{id}": {
            "delete": {
                "summary": "Take back what was filed under this id.",
                "parameters": [_path_parameter("id")],
                "responses": filed,
            }
        },
    }


def _votes() -> JsonObject:
    """Return the routes behind a link for one vote, which need no key."""
    parameters, refusals = [_path_parameter("ticket")], {"4XX": _error("Refused."), "5XX": _error("Not taken.")}
    page = {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}
    vote = {"type": "object", "required": ["value"], "properties": {"value": {"enum": ["up", "down"]}}}
    form = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": vote}}}
    shown = {"summary": "Ask for a vote on one answer.", "parameters": parameters}
    taken = {"summary": "Take the vote.", "parameters": parameters, "requestBody": form}
    answers = {"responses": {"200": page, **refusals}}
    return {f"{VOTE_PATH}{{ticket}}": {"get": {**shown, **answers}, "post": {**taken, **answers}}}


def _add_route(paths: JsonObject, route: str, source: str) -> None:
    """Add the route of another product's feedback; its body has that product's shape."""
    method, _, path = route.partition(" ")
    operation: JsonObject = {
        "summary": f"Feedback as {source} sends it.",
        "responses": {"2XX": {"description": "Filed."}, "4XX": _error("Refused."), "5XX": _error("Not taken.")},
    }
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", path)]
    if parameters:
        operation["parameters"] = parameters
    if method not in ("GET", "DELETE"):
        operation["requestBody"] = {**_json_body({}), "required": False}
    paths.setdefault(path, {})[method.lower()] = operation


def _schema(model: type[BaseModel]) -> JsonObject:
    schema = model.model_json_schema()
    return {key: value for key, value in schema.items() if key != "title"}


def _json_body(schema: JsonObject) -> JsonObject:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _path_parameter(name: str) -> JsonObject:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _error(description: str) -> Any:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
