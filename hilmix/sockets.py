"""Addresses that servers listen on."""

import os
import socket

from hilmix.errors import ConfigError


def bind_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that holds an address.

    Raises:
        ConfigError: if the address is in use, not this machine's, or none.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol named: only then does asyncio send at once, else each reply waits 40 ms for more to send.
        held = socket.socket(family, kind, protocol)
        if os.name == "posix":  # a restart need not wait for connections of before; on Windows this means another thing
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"Cannot listen on host {host}, port {port}: {reason}. Give another, or stop what uses it."
        ) from error
    return held
