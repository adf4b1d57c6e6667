from collections.abc import MutableMapping
from typing import Any

from highwayman.serving.completions import held_messages
from highwayman.serving.completions.held_messages import HeldMessages


async def test_nothing_is_sent_before_it_is_released_and_all_in_order_from_then_on() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    held = HeldMessages(send)
    messages = [{"type": "http.response.start"}, {"body": b"a"}, {"body": b"b"}]
    for message in messages[:2]:
        await held(message)
    assert (sent, held.is_released) == ([], False)
    await held.release()
    await held(messages[2])
    assert sent == messages


async def test_an_answer_too_large_to_be_held_is_passed_on() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    held = HeldMessages(send)
    large = b"x" * (held_messages._MOST_BYTES // 2 + 1)
    await held({"body": large})
    assert not sent
    await held({"body": large})
    assert (len(sent), held.is_released) == (2, True)
