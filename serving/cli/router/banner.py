"""What `highwayman serve` says once it listens."""

import re
import textwrap
from dataclasses import dataclass

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import ArmState
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyState, KeyStore
from highwayman.serving.config.config import Config
from highwayman.serving.state.announced_config import parse_announcement
from highwayman.serving.state.operator_key import operator_key_path
from highwayman.serving.wiring.settings import Settings

_WIDTH = 80
_INDENT = " " * 10
_PATIENCE_S = 1.0  # with Redis, for a line or two
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared, not bound)


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What Redis says of a namespace."""

    lineage: str = ""  # in force; empty: not announced yet
    keys: int | None = None  # given out that open it; None: no key ever closed it


async def namespace_facts(url: str, namespace: str) -> NamespaceFacts | None:
    """Return what the Redis at `url` says of the namespace, None where it does not answer."""
    client = connect(url, timeout_s=_PATIENCE_S)
    try:
        store = Store(client, namespace)
        announced = parse_announcement(await store.active_config(), namespace)
        keys = await KeyStore(client, namespace, store).all()
    except StoreUnavailable:
        return None
    finally:
        await client.aclose()
    lineage = "" if announced is None else announced.lineage
    return NamespaceFacts(lineage, sum(key.state is not KeyState.REVOKED for key in keys) if keys else None)


def operators_url(config: Config, host: str, port: int, *, admin_port: int | None = None) -> str:
    """Return the address, from this machine, of what operators look at; `admin_port` is the command line's."""
    admin = config.admin
    if admin is not None or admin_port is not None:
        host = "127.0.0.1" if admin is None else admin.host
        port = admin_port or (port if admin is None else admin.port)
    return _url(_EVERYWHERE.get(host, host), port)


def serve_banner(
    settings: Settings,
    host: str,
    port: int,
    *,
    workers: int,
    embedded: bool = False,
    pool: str = "pool.yaml",
    told: NamespaceFacts | None = None,
) -> str:
    """Return where a router listens, with what, and how it is stopped, in lines of up to 80 characters.

    Args:
        settings: of the router.
        host: it listens on.
        port: it listens on.
        workers: processes behind the port.
        embedded: whether the Valkey is the router's own.
        pool: the pool's file.
        told: what Redis says; None: it does not answer.
    """
    url, config = _url(host, port), settings.config
    arms = ", ".join(
        arm.name if arm.state is ArmState.ACTIVE else f"{arm.name} ({arm.state.value})" for arm in settings.arms
    )
    admin = config.admin
    facts = {
        "serves": f"in {workers} process{'' if workers == 1 else 'es'}; other routes: {url}/docs",
        **({} if admin is None else {"admin": f"/metrics, /v1/policy, /v1/admin on {admin.host}, port {admin.port}"}),
        "pool": f"{pool}: {arms}",
        "policy": f"{config.policy.name}, namespace {config.namespace}{_lineage(told)}",
        "keys": _keys(settings, told),
        "redis": "a Valkey of its own" if embedded else _without_secrets(settings.redis_url),
        "encoder": config.encoder.engine,
        "learner": "stands by here" if settings.learn else "none here (--no-learn); highwayman learn is one",
    }
    lines = [f"Highwayman listens on {url}/v1 (OpenAI's API)", f"Open {operators_url(config, host, port)}/dashboard"]
    if settings.api_keys or (told is not None and told.keys is not None):
        lines.append(f"  with an operator's key; this machine's is in {operator_key_path(settings.state)}")
    for name, fact in facts.items():
        lines += textwrap.wrap(f"{name:<8}{fact}", _WIDTH, initial_indent="  ", subsequent_indent=_INDENT)
    lines.append(f"Stop with Ctrl-C or SIGTERM: answers under way have {config.limits.drain_s:g} s; again, none.")
    return "\n".join(lines)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _lineage(told: NamespaceFacts | None) -> str:
    return f", lineage {told.lineage}" if told is not None and told.lineage else ""


def _keys(settings: Settings, told: NamespaceFacts | None) -> str:
    """Return who may use the router."""
    own = len(settings.api_keys)
    operators = [f"{own} of an operator's"] if own else []
    if told is None:
        return ", ".join([*operators, "those given out are not known yet: Redis does not answer"])
    given = [] if told.keys is None else [f"{told.keys} given out (highwayman keys list)"]
    return ", ".join([*operators, *given]) or "none: open to whoever can reach it; highwayman keys add closes it"


def _without_secrets(url: str) -> str:
    """Return an address without user, password and options, among which these may be, too."""
    return re.sub(r"//[^/]*@", "//", url.partition("?")[0])
