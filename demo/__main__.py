"""`python -m demo`: play the rounds against a running router, then say whether it learned."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import openai
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from demo.client import RouterClient
from demo.comparison import compare
from demo.page import page
from demo.play import last_third, play
from demo.report import print_report
from demo.rounds import Journal, OtherRun, Round, Settings, open_journal
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.state.operator_key import local_key

_MOST_ROUNDS = 1200  # there are not many more different facts


def main() -> None:
    """Run the demonstration; exit with 1 and a plain message where it cannot go on."""
    options = parse_options()
    console = Console()
    try:
        journal = asyncio.run(run(options, console))
    except* openai.APIConnectionError:
        stop(console, f"No router answers at {options.url}. Start one with `make run`, then try again.")
    except* (openai.APIStatusError, OtherRun, TimeoutError) as group:
        stop(console, f"{_first(group)}\nWhat was done is kept; run the same command again to go on.")
    except* KeyboardInterrupt:
        stop(console, "Stopped. What was done is kept; run the same command again to go on.")
    else:
        conclude(journal, options, console)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8790", help="the router, without /v1")
    parser.add_argument(
        "--api-key", default=os.environ.get("HIGHWAYMAN_API_KEY"), help="else the one in this machine's state folder"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the prompts and of the resampling")
    parser.add_argument("--rounds", type=int, default=450)
    parser.add_argument("--concurrency", type=int, default=3, help="prompts in flight; learning wants few")
    parser.add_argument("--points-per-usd", type=float, help="points of quality (.01); if not given, as `auto` has it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder for what is written")
    parser.add_argument("--fresh", action="store_true", help="forget an unfinished run of the same seed")
    options = parser.parse_args()
    if not 30 <= options.rounds <= _MOST_ROUNDS or options.concurrency < 1:
        parser.error(f"--rounds must be 30 to {_MOST_ROUNDS} and --concurrency at least 1")
    return options


async def run(options: argparse.Namespace, console: Console) -> Journal:
    """Return the journal with every round played."""
    key = options.api_key or local_key(options.url, state_folder()) or "none"
    router = RouterClient(options.url, key)
    try:
        if options.points_per_usd is None:
            options.points_per_usd = await router.points_per_usd()
        settings = Settings(options.seed, options.rounds, await router.arms())
        journal = open_journal(options.out / f"seed-{options.seed}.jsonl", settings, fresh=options.fresh)
        if not journal.rounds and (thumbs := await router.thumbs_so_far()):
            console.print(f"This router has already learned from {thumbs} thumbs: the curve will not start at random.")
        with progress_bar(console) as progress:
            task = progress.add_task("", total=options.rounds, completed=len(journal.rounds), told="")
            await play(
                router,
                journal,
                at_once=options.concurrency,
                on_round=lambda _: progress.update(task, advance=1, told=running_mean(journal.rounds)),
            )
        return journal
    finally:
        await router.close()


def progress_bar(console: Console) -> Progress:
    """Return a bar that also tells how good the last answers were."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


def running_mean(rounds: list[Round], window: int = 50) -> str:
    """Return the share of thumbs up among the last rounds, in words."""
    recent = rounds[-window:]
    return f"{sum(one.chosen.quality for one in recent) / len(recent):.0%} thumbs up in the last {len(recent)}"


def conclude(journal: Journal, options: argparse.Namespace, console: Console) -> None:
    """Print the report; write picture and page beside the journal."""
    from demo.plot import draw_picture  # noqa: PLC0415  (slow to load, and only needed when all is played)

    rounds, settings = journal.rounds, journal.settings
    judged = rounds[last_third(settings.rounds) :]
    found = compare(judged, settings.arms, points_per_usd=options.points_per_usd, seed=settings.seed)
    stem = options.out / f"seed-{settings.seed}"
    png, svg, html = (stem.with_suffix(suffix) for suffix in (".png", ".svg", ".html"))
    draw_picture(rounds, settings, found, [png, svg])
    html.write_text(page(rounds, settings, found, svg.read_text(encoding="utf-8")), encoding="utf-8")
    svg.unlink()
    print_report(console, found, settings.arms)
    console.print(f"Picture: {png}\nPage:    {html}", highlight=False, soft_wrap=True)


def stop(console: Console, message: str) -> None:
    """Print the message and exit with 1."""
    console.print(message, style="red", highlight=False)
    sys.exit(1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first plain exception of nested groups."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    main()
