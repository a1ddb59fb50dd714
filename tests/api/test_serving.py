from __future__ import annotations

import socket

from service.serving import _listening_socket
from service.settings import Settings


def test_small_answers_on_a_kept_connection_are_sent_at_once() -> None:
    # asyncio switches Nagle's delay off only where the socket says that it speaks TCP.
    with _listening_socket(Settings(port=0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP
