"""Plays the rounds: ask, grade, thumb, and on compared rounds ask every other arm too."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from highwayman.demo.client import Answer, RouterClient
from highwayman.demo.questions.prompts import KINDS, Prompt, generate
from highwayman.demo.rounds import Round, RoundsFile, RunSettings, Served

_STRETCH = 5  # of so many blocks of rounds before the last third, every arm is asked in one, for the curve


def last_third(rounds: int) -> int:
    """Return the index at which the last third of `rounds` begins."""
    return rounds - rounds // 3


def compared_rounds(settings: RunSettings) -> frozenset[int]:
    """Return the rounds on which every arm is asked: all of the last third, a random block in every five before.

    A block holds one prompt of each kind, so that the few early comparisons are of the same mixture as the rest.
    """
    rng = random.Random(f"compared {settings.seed}")  # noqa: S311  (nothing secret)
    start, block = last_third(settings.rounds), len(KINDS)
    compared = set(range(start, settings.rounds))
    for stretch in range(0, start, _STRETCH * block):
        first = stretch + rng.randrange(_STRETCH) * block
        compared.update(index for index in range(first, first + block) if index < start)
    return frozenset(compared)


async def play(router: RouterClient, journal: RoundsFile, *, at_once: int, on_round: Callable[[Round], None]) -> None:
    """Play every round that is not done yet, `at_once` of them in flight, started in order."""
    prompts = generate(journal.settings.rounds, seed=journal.settings.seed)
    compared = compared_rounds(journal.settings)
    waiting = iter([index for index in range(len(prompts)) if not journal.has(index)])

    async def worker(turns: Iterator[int]) -> None:
        for index in turns:  # the workers share one iterator
            arms = journal.settings.arms if index in compared else ()
            finished = await play_round(router, index, prompts[index], arms)
            journal.add(finished)
            on_round(finished)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker(waiting))


async def play_round(router: RouterClient, index: int, prompt: Prompt, arms: Sequence[str]) -> Round:
    """Return one finished round; `arms` are those to compare, the chosen one among them is not asked twice."""
    answer = await router.ask("auto", prompt.text)
    await router.thumb(answer.decision, up=prompt.check(answer.text))
    chosen = await graded(router, prompt, answer)
    every_arm: dict[str, Served] = {}
    for arm in arms:
        # Forced calls get no thumb: the router must learn from its own choices only.
        every_arm[arm] = (
            chosen if arm == chosen.arm else await graded(router, prompt, await router.ask(arm, prompt.text))
        )
    return Round(
        index=index,
        kind=prompt.kind,
        prompt=prompt.text,
        expected=prompt.expected,
        decision=answer.decision,
        propensity=answer.propensity,
        chosen=chosen,
        every_arm=every_arm,
    )


async def graded(router: RouterClient, prompt: Prompt, answer: Answer) -> Served:
    """Return the answer with its grade and with what it cost, as the router metered it."""
    outcome = await router.outcome(answer.decision)
    quality = float(prompt.check(answer.text))
    return Served(answer.arm, quality, outcome["cost_usd"], outcome["latency_s"], answer.text)
