"""In which order an arm's replicas are asked: a conversation's own first, so that its prompt cache is warm."""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

_SPARE = 1.25  # times the mean load that a replica takes for conversations' sake


def replica_order(
    endpoints: Sequence[str],
    *,
    is_up: Callable[[str], bool],
    load: Callable[[str], float],
    affinity: str = "",
    busy: Callable[[str], Any] | None = None,
) -> list[str]:
    """Return the endpoints, those that are up first; among them the conversation's own while it is not overloaded.

    Rendezvous hashing (Thaler and Ravishankar 1998) ranks the replicas for each conversation, so that one that comes or
    goes moves only its own conversations; consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam
    2018) passes over a replica that has `_SPARE` times the mean load. Their bound counts balls that stay; calls end.

    Args:
        endpoints: base URLs of replicas.
        is_up: whether calls may go to an endpoint.
        load: of an endpoint, in requests; what a conversation leaves it for.
        affinity: what names the conversation; empty: the least busy comes first.
        busy: what orders endpoints by how busy they are, where that is more than `load`.
    """
    if not affinity:
        by = busy or load
        return sorted(endpoints, key=lambda endpoint: (not is_up(endpoint), by(endpoint)))
    up = [endpoint for endpoint in endpoints if is_up(endpoint)]
    most = math.ceil(_SPARE * (sum(map(load, up)) + 1) / max(len(up), 1))

    def place(endpoint: str) -> tuple[bool, float, bytes]:
        overload = 0.0 if load(endpoint) < most else load(endpoint)
        return not is_up(endpoint), overload, _rank(affinity, endpoint)

    return sorted(endpoints, key=place)


def _rank(affinity: str, endpoint: str) -> bytes:
    return hashlib.blake2b(f"{affinity}\0{endpoint}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
