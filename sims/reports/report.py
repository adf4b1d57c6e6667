"""The report of a sweep, as one HTML file."""

from pathlib import Path

from highwayman.env.atomic_write import write_atomically
from highwayman.sims.reports.page import page
from highwayman.sims.sweeps.results import Results, ResultsError


def write_report(results: Results, path: Path) -> None:
    """Write the report to `path`, whole or not at all; the same bytes for the same results.

    Raises:
        ResultsError: the results do not fit together, or the file cannot be written.
        ConfigError: matplotlib is not installed.
    """
    results.check()
    blob = page(results).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, blob)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error
