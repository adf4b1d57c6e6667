"""Addresses of Redis: one server, one that Sentinels watch, or a Cluster. No error repeats what may be a password."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS

from highwayman.env.errors import ConfigError

_EXAMPLES = {
    "redis": "redis://user:password@host:6379/0",
    "rediss": "rediss://user:password@host:6379/0?ssl_ca_certs=/path/to/ca.crt",
    "unix": "unix:///path/to/redis.sock?db=0",
    "redis+sentinel": "redis+sentinel://user:password@host1:26379,host2:26379/service/0",
    "rediss+sentinel": "rediss+sentinel://user:password@host1:26379,host2:26379/service/0?ssl_ca_certs=/path/to/ca.crt",
    "redis+cluster": "redis+cluster://user:password@host1:6379,host2:6379",
    "rediss+cluster": "rediss+cluster://user:password@host1:6379,host2:6379?ssl_ca_certs=/path/to/ca.crt",
}
_LONGEST_SOCKET_PATH = 107  # bytes, on Linux
_CREDENTIALS = {"username", "password"}
_CONNECTION = {"client_name", "health_check_interval", "max_connections", "socket_connect_timeout", "socket_timeout"}
_SENTINEL = {"sentinel_username", "sentinel_password"}


class RedisTopology(StrEnum):
    """What an address leads to."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """An address, taken apart."""

    topology: RedisTopology
    tls: bool
    hosts: tuple[tuple[str, int], ...]  # the server, the Sentinels or the first nodes to ask; none with a socket's path
    path: str = ""  # of a Unix socket
    service: str = ""  # the name Sentinels know the server by
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of redis-py's connections
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of those to the Sentinels


def parse_redis_url(url: str) -> RedisUrl:
    """Return the parts of an address of Redis. Raises ConfigError, which shows a right address."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _EXAMPLES:
        problem = (
            f"has the scheme {scheme!r}" if separator and re.fullmatch(r"[a-z+]{1,20}", scheme) else "has no scheme"
        )
        raise ConfigError(f"The address of Redis {problem}; known are {', '.join(f'{name}://' for name in _EXAMPLES)}.")
    try:
        return _parsed(scheme, rest)
    except ValueError as error:  # ours alone: those of urllib and redis-py may hold the password
        raise ConfigError(f"The address of Redis {error}. A right one: {_EXAMPLES[scheme]}") from None


def _parsed(scheme: str, rest: str) -> RedisUrl:
    if "#" in rest:
        raise ValueError("has a '#'; in a user name or password write it %23")
    base, _, kind = scheme.partition("+")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    userinfo, _, addresses = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    known = {"username": unquote(user), "password": unquote(password)}
    given_options = {name: value for name, value in known.items() if value} | _options(scheme, query)
    sentinel = {name.removeprefix("sentinel_"): given_options.pop(name) for name in _SENTINEL & given_options.keys()}
    if base == "unix":
        if not path or addresses:
            raise ValueError("has no absolute path after unix://")
        path = slash + unquote(path)
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"has a path longer than the {_LONGEST_SOCKET_PATH} bytes that a socket's may have")
        return RedisUrl(RedisTopology.SERVER, tls=False, hosts=(), path=path, options=given_options)
    if "@" in path:
        raise ValueError("has a '/' before its '@'; in a user name or password write it %2F")
    topology = RedisTopology(kind or "server")
    service, path = _service(path) if topology is RedisTopology.SENTINEL else ("", path)
    hosts = tuple(
        _host(address, 26379 if topology is RedisTopology.SENTINEL else 6379) for address in addresses.split(",")
    )
    if topology is RedisTopology.SERVER and len(hosts) > 1:
        raise ValueError("names several hosts; that takes redis+sentinel:// or redis+cluster://")
    if topology is not RedisTopology.SERVER and not all(addresses.split(",")):
        raise ValueError("does not name a host where one is needed")
    options = _database(topology, path) | given_options
    return RedisUrl(topology, base == "rediss", hosts, service=service, options=options, sentinel_options=sentinel)


def _host(address: str, default_port: int) -> tuple[str, int]:
    """Return (host, port) of "host", "host:port" or "[ipv6]:port"."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a port that is not a number up to 65535, or a host that is none") from None
    if not host and address:
        raise ValueError("has a port without a host")
    return unquote(host or "localhost"), port or default_port


def _service(path: str) -> tuple[str, str]:
    """Return the service's name and what stands behind it."""
    service, _, path = path.partition("/")
    if not service:
        raise ValueError("does not name the service that the Sentinels watch")
    return unquote(service), path


def _database(kind: RedisTopology, path: str) -> dict[str, Any]:
    """Return the option that a path asks for."""
    number = path.strip("/")
    if number and not number.isdecimal():
        raise ValueError("has a path that is not the number of a database")
    if kind is RedisTopology.CLUSTER and int(number or 0):
        raise ValueError("asks for a database, and a Cluster only has number 0")
    return {"db": int(number)} if number else {}


def _options(scheme: str, query: str) -> dict[str, Any]:
    """Return the options of a query string, in the types redis-py wants."""
    known = _CONNECTION | _CREDENTIALS
    known |= set() if scheme.endswith("+cluster") else {"db", "timeout"}
    known |= _SENTINEL if scheme.endswith("+sentinel") else set()
    options = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known and not (scheme.startswith("rediss") and re.fullmatch(r"ssl_[a-z_]+", name)):
            raise ValueError(f"has an option that is none of {', '.join(sorted(known))}{_tls_too(scheme)}")
        try:
            options[name] = URL_QUERY_ARGUMENT_PARSERS.get(name, str)(value)
        except (TypeError, ValueError):
            raise ValueError(f"has an option {name!r} whose value cannot be read") from None
    return options


def _tls_too(scheme: str) -> str:
    return " or redis-py's ssl_ options" if scheme.startswith("rediss") else ""
