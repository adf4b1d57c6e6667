"""What an answer is read as."""

import pytest

from highwayman.client.call import Call
from highwayman.client.errors import UnreadableAnswer
from highwayman.client.results import Receipt


@pytest.mark.parametrize("content", [b"<html>Sign in</html>", b'{"id": 1}', b"[]", b"\xff"])
def test_an_answer_that_is_none_of_a_routers_is_told_as_that(content: bytes) -> None:
    call = Call("POST", "/feedback", Receipt.model_validate)
    with pytest.raises(UnreadableAnswer, match="POST /feedback was answered"):
        call.answered(content)
