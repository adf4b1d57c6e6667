"""Pages from templates: what is put in is text, never markup, unless a template says so."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from highwayman.pages import formats
from highwayman.pages.assets import Assets


def environment(assets: Assets, *packages: str, static: str = "") -> Environment:
    """Return what renders the templates of this room, and of further packages' `templates` folders.

    Args:
        assets: the files that pages refer to, or hold.
        packages: by import path.
        static: the path under which `assets` are served; empty for pages that hold all they need.
    """
    loaders = [PackageLoader(package) for package in (*packages, "highwayman.pages")]
    made = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}  # arms stay in their order
    made.filters.update(
        number=formats.number,
        percent=formats.percent,
        usd=formats.usd,
        price=formats.price,
        seconds=formats.seconds,
        time=formats.time,
        count=formats.count,
        counted=formats.counted,
    )
    made.globals.update(
        static=lambda name: assets.url(name, static),
        inlined=lambda name: _inlined(assets, name),
        allowed=lambda *names: " ".join(_allowed(assets, name) for name in names),
    )
    return made


def render(pages: Environment, template: str, **context: Any) -> str:
    """Return a page. Raises jinja2.UndefinedError if its template names what is not given."""
    return pages.get_template(template).render(context)


def _allowed(assets: Assets, name: str) -> str:
    """Return what allows a page's rules (content-security-policy) this style sheet or script, and no other."""
    return f"'sha256-{b64encode(sha256(_inlined(assets, name).encode()).digest()).decode()}'"


def _inlined(assets: Assets, name: str) -> Markup:
    """Return a style sheet or script of ours to stand in the page itself."""
    return Markup(assets.text(name).replace("</script", "<\\/script"))  # noqa: S704
