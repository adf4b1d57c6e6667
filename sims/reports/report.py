"""The report of a sweep, as one HTML file."""

from pathlib import Path

from highwayman.sims.reports.document import write_document
from highwayman.sims.reports.page import page
from highwayman.sims.sweeps.results import Results


def write_report(results: Results, path: Path) -> None:
    """Write the report to `path`, whole or not at all; the same bytes for the same results.

    Raises:
        ResultsError: the results do not fit together, or the file cannot be written.
    """
    results.check()
    write_document(page(results), path)
