"""A figure as an SVG element that can stand in a page with others: small, without prolog, ids all its own."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from highwayman.sims.plots.palette import variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GEOMETRY: Final = ("x", "y", "width", "height", "transform", "style")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_NOTHING = re.compile(r"font-family: [^;]*; |stroke-dashoffset: 0; ")  # the page says which font
_COLOR = re.compile(r"((?:fill|stroke): )(#[0-9a-f]{6})")
_NO_TURN = "rotate(-0 "
_OUTSIDE_FLOW = ("metadata", "style", "title")


def svg_of(figure: "Figure") -> str:
    """Return the figure as an `svg` element, the same for the same figure.

    Coordinates are rounded (paths to tenths of a point), groups lose the ids that nothing refers to, and colors are
    the page's variables.
    """
    blob = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # text stays text, and a browser has more fonts
        figure.savefig(blob, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    root = ET.fromstring(blob.getvalue())  # noqa: S314 (what matplotlib wrote a line ago)
    _tidy(root, _referred(root))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    return ET.tostring(root, encoding="unicode")


def placed(svg: str, *, prefix: str, label: str) -> str:
    """Return the element with its ids prefixed, and described by `label` to those who cannot see it."""
    root = ET.fromstring(svg)  # noqa: S314 (ours, from `svg_of`)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.attrib[name] = f"{prefix}-{value}"
            elif name == "href":
                element.attrib[name] = f"#{prefix}-{value[1:]}"
            else:
                element.attrib[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    root.attrib = {"role": "img", "aria-label": label, **root.attrib}
    return ET.tostring(root, encoding="unicode")


def _referred(root: ET.Element) -> set[str]:
    attributes = [(_local(name), value) for element in root.iter() for name, value in element.attrib.items()]
    links = {value[1:] for name, value in attributes if name == "href"}
    return links | {reference for _, value in attributes for reference in _REFERENCE.findall(value)}


def _tidy(element: ET.Element, referred: set[str]) -> None:
    """Take namespaces, needless ids, digits and space away, from the element and all in it."""
    element.tag = _local(element.tag)
    if element.tag not in ("text", "tspan"):
        element.text = None
    element.tail = None
    attributes = {_local(name): _shortened(_local(name), value) for name, value in element.attrib.items()}
    unused = [name for name, value in attributes.items() if (name == "id" and value not in referred) or not value]
    element.attrib = {name: value for name, value in attributes.items() if name not in unused}
    for child in list(element):
        _tidy(child, referred)
        if child.tag in _OUTSIDE_FLOW or (child.tag in ("g", "defs") and not len(child)):
            element.remove(child)


def _shortened(name: str, value: str) -> str:
    if name == "d":
        return _path(value)
    if name == "transform" and value.startswith(_NO_TURN):
        return ""
    if name == "style":
        value = _COLOR.sub(lambda match: match[1] + variable(match[2]), _NOTHING.sub("", value))
    return _NUMBER.sub(_hundredths, value) if name in _GEOMETRY else value


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _path(commands: str) -> str:
    """Return a path's commands in tenths of a point; where there are no curves, lines go on without a command."""
    line = _NUMBER.sub(_tenths, " ".join(commands.split()))
    start, *lines = line.split(" L ")
    return line if "C" in line or "Q" in line or not lines else f"{start} L {' '.join(lines)}"


def _tenths(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _hundredths(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").removesuffix(".")
