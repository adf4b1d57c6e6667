"""Writes docs/reference/: every key, command and route, and the log's format.

python -m scripts.reference
"""

import asyncio

from scripts.reference.commands import commands_page
from scripts.reference.keys import configuration_page, pool_page
from scripts.reference.log_format import log_format_page
from scripts.reference.routes import routes_page
from scripts.reference.served_document import served_document
from scripts.reference.tables import FOLDER


def main() -> None:
    """Write the pages."""
    pages = {
        "configuration": configuration_page(),
        "pool": pool_page(),
        "commands": commands_page(),
        "log_format": log_format_page(),
        "routes": routes_page(asyncio.run(served_document())),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
