"""What reads the declared tags off requests, put together as the configuration has it."""

from contextlib import AsyncExitStack

from highwayman.serving.completions.requests.tag_reader import TagReader
from highwayman.serving.state.level_table import LevelTable
from highwayman.serving.wiring.background import start_in_background
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.settings import Settings


def build_tags(stack: AsyncExitStack, settings: Settings, log: LogComponents) -> TagReader:
    """Return it; columns are given beside the requests, where levels are not all declared."""
    declared = settings.config.declared_tags()
    table = LevelTable(log.client, settings.config.namespace)
    if not all(tag.levels for tag in declared):
        start_in_background(stack, table.run(), settings.on_failure)
    return TagReader(declared, table, secret=lambda: log.ids.secrets[0])
