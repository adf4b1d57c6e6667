"""What routers of a namespace change together, as Redis has it."""

import pytest

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from highwayman.serving.reload.shared_state import SharedConfig, SharedState


@pytest.mark.parametrize("written", ["{", '"text"', '{"generation": 1}', '{"changes": 3}', "\xff"])
async def test_what_another_release_has_written_and_cannot_be_read_is_told_once_and_taken_for_nothing(
    written: str, valkey_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(valkey_url)
    shared = SharedConfig(client, namespace)
    assert await shared.read() == SharedState()
    await client.set(Keys(namespace)("live"), written)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="cannot be read here"):
            await shared.read()
    assert len([record for record in caplog.records if "as this release writes it" in record.message]) == 1
    await client.aclose()
