"""The page of metrics, made from the table that the router makes them from: `python -m scripts.metrics_page`."""

from pathlib import Path

from highwayman.serving.telemetry.families import FAMILIES, MADE_AT_SCRAPE, OLD_NAMES, Family

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
BEGIN, END = "<!-- made by `python -m scripts.metrics_page` -->\n", "<!-- end of what is made -->\n"


def main() -> None:
    """Write the tables of the page anew."""
    PAGE.write_text(with_tables(PAGE.read_text()))


def with_tables(page: str) -> str:
    """Return the page with the tables as they are now, all else as it is."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + tables() + END + rest.partition(END)[2]


def tables() -> str:
    """Return every metric by its name, and the old names."""
    families = sorted((*FAMILIES, *MADE_AT_SCRAPE), key=lambda family: family.name)
    rows = [_row(family) for family in families]
    by_name = {family.name: family for family in families}
    old = [f"- `{_shown(by_name[new], name)}`: now `{by_name[new].shown}`.\n" for new, name in OLD_NAMES.items()]
    head = "| Name | Kind | Labels | What it says |\n|---|---|---|---|\n"
    return f"\n{head}{''.join(rows)}\nOld names, shown beside the new ones for one release:\n\n{''.join(old)}\n"


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in family.buckets)}." if family.buckets else ""
    return f"| `{family.shown}` | {family.kind} | {labels} | {family.meaning}.{buckets} |\n"


def _shown(family: Family, name: str) -> str:
    return name + family.shown.removeprefix(family.name)


if __name__ == "__main__":
    main()
