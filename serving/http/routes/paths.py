"""Other addresses of the same routes: Azure's deployments, a base URL with `/v1` missing or twice, a trailing slash."""

import re
from typing import Final

from highwayman.serving.http.asgi import Scope

DEPLOYMENT: Final = "highwayman.deployment"  # in the scope of a request whose path names the model, as Azure's do
_DEPLOYED: Final = re.compile(
    r"/openai/deployments/(?P<model>.+?)(?P<rest>/(?:chat/completions|completions|embeddings|audio/[a-z]+))"
)
_AZURE: Final = re.compile(
    r"/openai(?:/v1)?(?P<rest>/(?:chat/completions|completions|responses|embeddings|models|audio)(?:/.*)?)"
)
_WITHOUT_V1: Final = frozenset(
    f"/{path}" for path in ("chat/completions", "completions", "responses", "messages", "embeddings", "models")
)


def canonical(scope: Scope) -> Scope:
    """Return the scope with the path that a route has; what has one already is returned as it is."""
    given = scope["path"]
    path = given.rstrip("/") or "/"
    deployed = _DEPLOYED.fullmatch(path)
    if deployed is not None:
        return {**scope, "path": f"/v1{deployed['rest']}", DEPLOYMENT: deployed["model"]}
    azure = _AZURE.fullmatch(path)
    if azure is not None:
        path = f"/v1{azure['rest']}"
    elif path.startswith("/v1/v1/"):
        path = path[len("/v1") :]
    elif path in _WITHOUT_V1:
        path = f"/v1{path}"
    return scope if path == given else {**scope, "path": path}
