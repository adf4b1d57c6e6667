"""A browser's session: whom its cookie stands for."""

from collections.abc import Sequence

import pytest

from highwayman.env.errors import Unauthorized
from highwayman.feedback.trust.api_keys import key_mac
from highwayman.feedback.trust.principal import ANONYMOUS, Principal
from highwayman.serving.auth.authenticator import Authenticator
from highwayman.serving.auth.sessions import COOKIE, SESSION_S, Sessions
from highwayman.serving.http.asgi import Scope

OPS = Principal("ops", "k1", frozenset({"admin"}))
SECRETS = (b"new", b"old")


class OneKey:
    """A tenant's key, made when the namespace's first secret was the old one."""

    def __bool__(self) -> bool:
        return True

    def lookup(self, text: str) -> Principal | None:
        return OPS if text == "hw-ops" else None

    def of_mac(self, mac: str) -> Principal | None:
        return OPS if mac == key_mac(b"old", "hw-ops") else None


def sessions(at: float = 0.0, secrets: Sequence[bytes] = SECRETS) -> Sessions:
    return Sessions(Authenticator(["sk-operator"], OneKey()), lambda: secrets, lambda: at)  # type: ignore[arg-type]


def sent(value: str) -> Scope:
    return {"headers": [(b"cookie", f"{COOKIE}={value}".encode("latin-1"))]}


@pytest.mark.parametrize(("key", "whose"), [("hw-ops", OPS), ("sk-operator", ANONYMOUS)])
def test_a_session_stands_for_its_keys_owner_until_it_ends_whatever_secret_the_key_was_made_with(
    key: str, whose: Principal
) -> None:
    value = sessions().open(key)
    assert sessions(SESSION_S - 1).principal(sent(value)) == whose
    for later in (sessions(SESSION_S), sessions(secrets=[b"another"])):
        with pytest.raises(Unauthorized):
            later.principal(sent(value))


@pytest.mark.parametrize("value", ["", "..", r'"1.2.\377"', r'"\377.2.3"', "9.9.9", '"'])
def test_a_cookie_that_is_no_session_stands_for_nobody(value: str) -> None:
    with pytest.raises(Unauthorized):
        sessions().principal(sent(value))
