"""This router: `auto`, the shipped encoder and policy, and the Valkey that it embeds."""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.proxies.peer import Launch, Site


@dataclass(frozen=True, slots=True)
class SourceTree:
    """Where a router's sources are, and what the tables call it."""

    name: str = "Highwayman"
    root: Path = Path(__file__).parents[3]


class Highwayman:
    """The router of a source tree."""

    def __init__(self, tree: SourceTree, *, arms: int = 8, workers: int = 1) -> None:
        """Take the sources, how many arms it chooses from, and how many processes it has."""
        self.name = tree.name if workers == 1 else f"{tree.name} x {workers}"
        self._root, self._arms, self._workers = tree.root, arms, workers

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        pool, config = site.folder / "pool.yaml", site.folder / "highwayman.yaml"
        arm = {"endpoint": site.upstream, "model": "m", "context_window_tokens": 8192}
        prices = [0.1 * (number + 1) for number in range(self._arms)]
        arms = {
            f"arm{number}": {**arm, "usd_per_mtok_in": price, "usd_per_mtok_out": price}
            for number, price in enumerate(prices)
        }
        pool.write_text(yaml.safe_dump({"arms": arms}))
        config.write_text("{}")
        serve = ["-P", "-m", "highwayman.serving.cli.main", "serve", f"--pool={pool}", f"--config={config}"]
        options = [f"--port={site.port}", f"--state-dir={site.folder}", "--seed=0", f"--workers={self._workers}"]
        env = {"PYTHONPATH": str(self._root / "src"), "REDIS_URL": ""}  # a Valkey of its own, that is measured, too
        return Launch([sys.executable, *serve, *options], "/readyz", model="auto", env=env)
