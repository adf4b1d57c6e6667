"""What `highwayman serve` says once it listens."""

import re
import textwrap

from highwayman.env.types import ArmState
from highwayman.serving.wiring.settings import Settings

_WIDTH = 80
_INDENT = " " * 10


def serve_banner(settings: Settings, host: str, port: int, *, workers: int, embedded: bool = False) -> str:
    """Return where a router listens, with what, and how it is stopped, in lines of up to 80 characters.

    Args:
        settings: of the router.
        host: it listens on.
        port: it listens on.
        workers: processes behind the port.
        embedded: whether the Valkey is the router's own.
    """
    url, config = f"http://{f'[{host}]' if ':' in host else host}:{port}", settings.config
    arms = ", ".join(
        arm.name if arm.state is ArmState.ACTIVE else f"{arm.name} ({arm.state.value})" for arm in settings.arms
    )
    admin = config.admin
    facts = {
        "serves": f"in {workers} process{'' if workers == 1 else 'es'}; other routes: {url}/docs",
        **({} if admin is None else {"admin": f"/metrics, /v1/policy, /v1/admin on {admin.host}, port {admin.port}"}),
        "policy": f"{config.policy.name}, namespace {config.namespace}",
        "arms": arms,
        "redis": "a Valkey of its own" if embedded else _without_secrets(settings.redis_url),
        "encoder": config.encoder.engine,
        "learner": "stands by here" if settings.learn else "none here (--no-learn); highwayman learn is one",
    }
    lines = [f"Highwayman listens on {url}/v1 (OpenAI's API)"]
    for name, fact in facts.items():
        lines += textwrap.wrap(f"{name:<8}{fact}", _WIDTH, initial_indent="  ", subsequent_indent=_INDENT)
    lines.append(f"Stop with Ctrl-C or SIGTERM: answers under way have {config.limits.drain_s:g} s; again, none.")
    return "\n".join(lines)


def _without_secrets(url: str) -> str:
    """Return an address without user, password and options, among which these may be, too."""
    return re.sub(r"//[^/]*@", "//", url.partition("?")[0])
