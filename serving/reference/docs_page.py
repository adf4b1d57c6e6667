"""The page of routes at `/docs`: one document, without a script, and nothing from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from itertools import groupby

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from highwayman.env.types import JsonObject
from highwayman.serving.reference.route_list import RouteEntry, route_entries

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .2rem 0 }
code { font-family: ui-monospace, monospace }
summary code { font-weight: bold }
table { border-collapse: collapse; margin: .3rem 0 1rem 1rem; font-size: .9rem }
td, th { border-bottom: 1px solid #8886; padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def add_docs_page(rest: FastAPI) -> None:
    """Add the page as a route; the application's document says which others there are."""

    @rest.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(rest.openapi()), headers=_HEADERS)


def docs_page(document: JsonObject) -> str:
    """Return the page, as HTML, of an OpenAPI document."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    groups = groupby(route_entries(document), key=lambda entry: entry.group)
    routes = "\n".join(f"<h2>{escape(group)}</h2>\n{''.join(map(_route, entries))}" for group, entries in groups)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}: routes</title>\n<style>{_STYLE}</style>\n<h1>{title}: routes</h1>\n"
        '<p>The same for machines: <a href="openapi.json">openapi.json</a>.</p>\n'
        f"{routes}\n</html>\n"
    )


def _route(entry: RouteEntry) -> str:
    heads = ("field", "where", "takes", "what")
    fields = [(field.name, field.where, field.takes, field.description) for field in entry.fields]
    told = f"{_table(heads, fields) if fields else ''}{_table(('answer', ''), entry.responses.items())}"
    route = f"<code>{escape(entry.method)} {escape(entry.path)}</code> {_text(entry.summary)}"
    return f"<details><summary>{route}</summary>\n{told}</details>\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [_row("th", heads), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>\n"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _text(text: str) -> str:
    """Return a text as HTML, with what stands in backquotes as code."""
    return re.sub("`(.*?)`", r"<code>\1</code>", escape(text))
