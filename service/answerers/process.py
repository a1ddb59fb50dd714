"""One process that searches and asks for the service: `python -m service.answerers.process`, and its sockets."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from selectors import EVENT_READ, DefaultSelector

from embeddings.frames import read_frame, write_frame
from embeddings.memory import settle
from service import bootstrap, logs
from service.answerers.messages import BODIES, FAILURE, Request, reply
from service.asking import work_out
from service.bootstrap import FollowingEngine
from service.limits import limited
from service.settings import Settings

logger = logging.getLogger(__name__)


def main() -> None:
    # Ctrl+C and the end of a unit are for the process that serves; this one ends when that one lets go of its lanes.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    number_of_control, numbers_of_lanes = json.loads(sys.argv[1])
    control = Channel(number_of_control).stream
    threads = [[Channel(number) for number in numbers] for numbers in numbers_of_lanes]
    with suppress(EOFError, OSError):
        settings = Settings(**json.loads(read_frame(control)))
        logs.configure(settings.log_level)
        with closing(bootstrap.follow(settings)) as engine:
            settle()
            write_frame(control, b"ready")
            _answer_on_all(threads, engine)


class Channel:
    def __init__(self, number: int) -> None:
        self.socket = socket.socket(fileno=number)
        self.stream = self.socket.makefile("rwb")


def _answer_on_all(threads: Sequence[Sequence[Channel]], engine: FollowingEngine) -> None:
    begun = [threading.Thread(target=_answer, args=(lanes, engine), name="answers") for lanes in threads]
    for thread in begun:
        thread.start()
    for thread in begun:
        thread.join()


def _answer(lanes: Sequence[Channel], engine: FollowingEngine) -> None:
    """Until the other end of a lane is closed."""
    with DefaultSelector() as selector, suppress(EOFError, OSError), limited(engine.settings.limits):
        for lane in lanes:
            selector.register(lane.socket, EVENT_READ, lane.stream)
        while True:
            for ready, _ in selector.select():
                write_frame(ready.data, _answered(read_frame(ready.data), engine))


def _answered(sent: bytes, engine: FollowingEngine) -> bytes:
    try:
        request = Request.of(sent)
        collection = engine.library.collection(request.collection, request.place)
        collection.reach(request.seq)
        body = BODIES[request.verb].model_validate(request.body)
        return reply(work_out(body, collection, engine.answering, waited_ms=request.waited_ms))
    except Exception as error:
        # Which tells what is wrong if it fails too.
        logger.warning("left to the process that serves", extra={"reason": type(error).__name__})
        return FAILURE


if __name__ == "__main__":
    main()
    # Nothing here is left to be written, and threads of the runtime may still hold their ends.
    os._exit(0)
