"""Under which names a request's answer is found."""

from typing import Any

import pytest

from highwayman.serving.config.feedback import NamesConfig
from highwayman.serving.http.client_ids import link_digests

LINKS = link_digests(NamesConfig().client_id_sources(), lambda kind, name, tenant: f"{kind} {name}")


def links(metadata: dict[str, Any] | None = None, **headers: str) -> set[str]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return set(LINKS({"headers": sent}, {} if metadata is None else {"metadata": metadata}, "default"))


def test_an_answer_is_found_by_its_own_id_and_with_the_others_of_its_conversation() -> None:
    found = links(x_openwebui_message_id="m", x_openwebui_chat_id="c")
    assert found == {"request m", "conversation c"}
    assert links({"message_id": "m", "chat_id": "c"}) == found


@pytest.mark.parametrize("headers", [{}, {"x_openwebui_message_id": ""}])
def test_an_answer_without_an_id_of_its_own_is_found_among_the_unnamed_of_its_conversation(
    headers: dict[str, str],
) -> None:
    assert links(x_openwebui_chat_id="c", **headers) == {"conversation c", "unnamed c"}


def test_what_proxies_and_tracers_call_a_request_is_no_name_that_a_client_keeps() -> None:
    assert links(x_openwebui_chat_id="c", x_request_id="r") == {"request r", "conversation c", "unnamed c"}
    assert "unnamed c" in links(x_openwebui_chat_id="c", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")


def test_an_answer_of_no_conversation_is_found_by_its_own_id_only() -> None:
    assert links(x_message_id="m") == {"request m"}
    assert links() == set()
