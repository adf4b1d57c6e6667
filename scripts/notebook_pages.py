"""A hook of mkdocs: a notebook of docs/notebooks/ is a page of the site, with what it printed when it was written.

Markdown stays, code and output are blocks, pictures stand in the page; nothing is executed.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_SUFFIX: Final = ".ipynb"
_LINK: Final = re.compile(r"(\]\([\w/.-]+)\.ipynb\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page in the place of each notebook."""
    for notebook in [file for file in files if file.src_uri.endswith(_SUFFIX)]:
        cells = json.loads(notebook.content_string)["cells"]
        page = File.generated(config, _as_page(notebook.src_uri), content="\n\n".join(_parts(cells)))
        files.remove(notebook)
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links to notebooks lead to their pages."""
    return _LINK.sub(r"\1.md)", markdown)


def _as_page(uri: str) -> str:
    return f"{uri.removesuffix(_SUFFIX)}.md"


def _parts(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what stands on a page, cell by cell."""
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
        elif source.strip():
            yield f"```python\n{source}\n```"
            yield from map(_shown, cell["outputs"])


def _shown(output: dict[str, Any]) -> str:
    """Return an output: a picture where there is one, else its text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![What the cell above draws](data:image/png;base64,{''.join(data['image/png'].split())})"
    text = "".join(output.get("text", data.get("text/plain", "")))
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```text\n{lines}\n```"
