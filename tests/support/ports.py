"""Ports for servers that tests start."""

import random
import socket

HOST = "127.0.0.1"
# Below what Linux gives to outgoing connections, which come and go between choosing and listening.
_RANGE = (20_000, 32_000)
_chance = random.SystemRandom()


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    while True:
        port = _chance.randrange(*_RANGE)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return port
