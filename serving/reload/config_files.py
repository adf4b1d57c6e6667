"""The files that a router is started with, to be read again."""

from dataclasses import dataclass
from pathlib import Path

from highwayman.env.pool.pool_file import PoolFile, load_pool
from highwayman.serving.config.access import AdminConfig
from highwayman.serving.config.config import Config, load_config
from highwayman.serving.config.resources.engines import EncoderConfig

Stamp = tuple[tuple[int, int, int] | None, ...]  # of each file: which it is, when it was written, its bytes


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """Where configuration and pool are."""

    pool: Path
    config: Path | None = None  # None: all is as by default
    encoder: str | None = None  # that the command line has in place of the configuration's
    admin_port: int | None = None  # likewise

    def load(self) -> "LoadedFiles":
        """Return what they say now. Raises ConfigError."""
        stamp, config = self.stamp(), load_config(self.config)
        if self.encoder is not None:
            config = config.model_copy(update={"encoder": EncoderConfig(engine=self.encoder)})
        if self.admin_port is not None:
            admin = AdminConfig(port=self.admin_port)
            kept = {} if config.admin is None else {"host": config.admin.host}
            config = config.model_copy(update={"admin": admin.model_copy(update=kept)})
        return LoadedFiles(self, config, load_pool(self.pool), stamp)

    def stamp(self) -> Stamp:
        """Return what is another one once a file has been written or replaced."""
        return tuple(_stamp(path) for path in (self.pool, self.config) if path is not None)

    def __str__(self) -> str:
        return " or ".join(path.name for path in (self.pool, self.config) if path is not None)


@dataclass(frozen=True, slots=True)
class LoadedFiles:
    """What the files said when they were read last."""

    files: ConfigFiles
    config: Config
    pool: PoolFile
    stamp: Stamp  # of the files, before they were read


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
