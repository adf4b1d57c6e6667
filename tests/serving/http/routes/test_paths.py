"""Other addresses of the same routes."""

import pytest

from highwayman.serving.http.routes.paths import DEPLOYMENT, canonical


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/messages", "/v1/messages"),
        ("/openai/v1/responses", "/v1/responses"),
        ("/openai/responses", "/v1/responses"),
        ("/openai/models/a", "/v1/models/a"),
        ("/", "/"),
        ("/v1/openai/deployments/a/chat/completions", "/v1/openai/deployments/a/chat/completions"),
        ("/v1/models/a/b", "/v1/models/a/b"),
    ],
)
def test_an_address_has_the_path_of_its_route(given: str, path: str) -> None:
    scope = canonical({"path": given})
    assert scope["path"] == path
    assert DEPLOYMENT not in scope


@pytest.mark.parametrize("model", ["auto", "org/large", "gpt-4.1"])
def test_azures_path_names_the_model(model: str) -> None:
    scope = canonical({"path": f"/openai/deployments/{model}/chat/completions"})
    assert (scope["path"], scope[DEPLOYMENT]) == ("/v1/chat/completions", model)


def test_a_scope_whose_path_a_route_has_is_returned_as_it_is() -> None:
    scope = {"path": "/v1/models"}
    assert canonical(scope) is scope
