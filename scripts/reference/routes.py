"""docs/reference/routes.md: every route, from the OpenAPI document that a router serves."""

from itertools import groupby

from highwayman.env.types import JsonObject
from highwayman.serving.http.errors import error_codes
from highwayman.serving.reference.route_list import RouteEntry, route_entries
from scripts.reference.tables import page, sentence, table

_INTRO = """Every route of a router whose configuration is as by default. A router shows its own as a page at `/docs`,
which loads nothing from elsewhere, and as OpenAPI at `/openapi.json`. Azure's paths, and addresses without `/v1` or
with a slash at the end, lead to the same ([what clients speak](protocols.md)). With API keys, a key goes as
`authorization: Bearer KEY`, `x-api-key` or `api-key`; who needs none is said in
[running the router](../how-to/serving.md)."""
_ERRORS = """Every error has OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`; Anthropic's routes write
the same errors in theirs. What an arm's own server says of a request goes through as it came."""


def routes_page(document: JsonObject) -> str:
    """Return docs/reference/routes.md, of an OpenAPI document."""
    groups = groupby(route_entries(document), key=lambda entry: entry.group)
    parts = [part for group, entries in groups for part in (f"## {group}", *map(_route, entries))]
    rows = [(str(status), f"`{code}`", sentence(when)) for status, code, when in error_codes()]
    errors = f"## Errors\n\n{_ERRORS}\n\n{table(('status', 'code', 'when'), rows)}"
    return page("Routes", _INTRO, [*parts, errors])


def _route(entry: RouteEntry) -> str:
    fields = [(f"`{field.name}`", field.where, field.takes, sentence(field.description)) for field in entry.fields]
    told = [table(("field", "where", "takes", "what"), fields)] if fields else []
    answers = table(("answer", "what"), entry.responses.items())
    return "\n\n".join([f"### {entry.method} {entry.path}", sentence(entry.summary), *told, answers])
