"""The listening sockets of the admin plane, which has a port of its own."""

import socket

from highwayman.env.errors import ConfigError


def admin_listeners(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """Return a listening socket for each address of `host`; `shared`: other workers listen there, too.

    Raises:
        ConfigError: the port cannot be had.
    """
    listeners: list[socket.socket] = []
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            listeners.append(socket.create_server(address, family=family, reuse_port=shared))
            listeners[-1].setblocking(False)
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError(f"admin port {port} on {host} cannot be had ({reason}); give another") from error
    return listeners
