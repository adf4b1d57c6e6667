"""One answer for all who ask at about the same time."""

import asyncio

import pytest

from highwayman.serving.insight.shared_answers import SharedAnswers


async def test_ten_who_ask_at_once_and_soon_after_cost_what_one_does_and_later_it_is_made_anew() -> None:
    now, made = [0.0], []

    async def make() -> int:
        await asyncio.sleep(0)
        made.append(len(made))
        return len(made)

    answers: SharedAnswers[int] = SharedAnswers(60.0, lambda: now[0])
    assert await asyncio.gather(*(answers.get("acme", make) for _ in range(10))) == [1] * 10
    now[0] = 59.0
    assert await answers.get("acme", make) == 1
    assert await answers.get("other", make) == 2
    now[0] = 60.0
    assert await answers.get("acme", make) == 3


async def test_what_failed_is_made_again_and_who_goes_away_does_not_end_it_for_the_others() -> None:
    answers: SharedAnswers[str] = SharedAnswers(60.0, lambda: 0.0)

    async def fail() -> str:
        raise RuntimeError("away")

    with pytest.raises(RuntimeError):
        await answers.get("acme", fail)
    begun = asyncio.Event()

    async def wait() -> str:
        await begun.wait()
        return "made"

    leaving, staying = (asyncio.ensure_future(answers.get("acme", wait)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    begun.set()
    assert await staying == "made"
