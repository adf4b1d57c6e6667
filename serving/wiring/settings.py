"""What a router process is started with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from highwayman.env.pool.pool_file import NamedModel
from highwayman.env.types import Arm
from highwayman.serving.config.config import Config
from highwayman.serving.http.drain import Drain
from highwayman.serving.reload.config_files import LoadedFiles
from highwayman.serving.state.local_state import state_folder


@dataclass(frozen=True, slots=True)
class Settings:
    """What a router process is started with."""

    arms: tuple[Arm, ...]
    redis_url: str
    config: Config = field(default_factory=Config)
    api_keys: frozenset[str] = frozenset()  # empty: open, on loopback only
    learn: bool = True  # stand for the learner's lease
    seed: int | None = None  # of the draws; None: from the system
    state: Path = field(default_factory=state_folder)  # spools, and what a start without Redis needs
    drain: Drain = field(default_factory=Drain)  # whether requests are taken
    named: tuple[NamedModel, ...] = ()  # asked by name, for embeddings and audio
    on_failure: Callable[[], None] = lambda: None  # called when a part that should run for ever has failed
    loaded: LoadedFiles | None = None  # the files that all this comes from; None: nobody can change it
