"""Ports for servers that tests start, none of which another process gets meanwhile."""

import socket

_reserved: list[socket.socket] = []  # bound, never listening, for as long as this process lives


def free_port() -> int:
    """Return a port on loopback that nobody listens at, and that nobody else is given while this process lives.

    The kernel found it free, and it stays bound here: to no outgoing connection, and to nobody who asks for any port,
    will it be given. A server that shares addresses (SO_REUSEADDR or SO_REUSEPORT, as servers do) may listen at it;
    until one does, a connection to it is refused.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind(("127.0.0.1", 0))
    _reserved.append(keeper)
    return int(keeper.getsockname()[1])
