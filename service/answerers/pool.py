"""Processes that answer for the one that serves: begun when many ask, handed requests, begun anew when they end."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import ExitStack, suppress
from itertools import chain

from anyio import fail_after

from embeddings.frames import LENGTH, framed, length_of, read_frame
from embeddings.memory import has_room_for_as_much_again
from service.answerers.demand import Demand
from service.answerers.lanes import threads_each
from service.answerers.messages import BODIES, Request, answered_by
from service.asking import Answered
from service.settings import Settings, environment_of_children

logger = logging.getLogger(__name__)

MODULE = "service.answerers.process"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Before a process that ended is begun again; twice as long each time that it never came to answer."""
LONGEST_START_SECONDS = 120.0
"""After which a process that cannot be asked yet is given up."""
LONGEST_ANSWER_SECONDS = 60.0
"""After which a process is taken to hang, and another one is begun."""
LOOK_SECONDS = 1.0
"""Between two looks whether a process is still worth its memory."""
STOP_SECONDS = 10.0
"""For what a process still works on when it is to end."""


class Lane:
    """One request at a time."""

    def __init__(self, process: Process, verb: str, channel: socket.socket) -> None:
        self.process = process
        self.verb = verb
        self._channel = channel
        self._channel.setblocking(False)

    async def ask(self, request: Request) -> Answered | None:
        """None where the process could not answer. Raises OSError or EOFError where it is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._channel, framed(request.written()))
        length = length_of(await self._received(LENGTH.size))
        return answered_by(await self._received(length))

    def close(self) -> None:
        _close(self._channel)

    async def _received(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            part = await asyncio.get_running_loop().sock_recv(self._channel, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)


class Process:
    def __init__(self, settings: Settings) -> None:
        self.lanes: list[Lane] = []
        self.at_work = 0
        """Requests that it has not answered yet."""
        with ExitStack() as theirs, ExitStack() as ours:
            self._control, control = _channel(theirs)
            ours.callback(self.close)
            threads = [
                [self._lane(verb, theirs) for _ in range(lanes)]
                for verb, each in threads_each(settings).items()
                for lanes in each
            ]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, json.dumps([control, threads])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment_of_children(),
                pass_fds=[control, *chain.from_iterable(threads)],
                start_new_session=True,
            )
            ours.pop_all()
        with suppress(OSError):  # That it is gone shows when it does not become ready.
            self._control.sendall(framed(settings.model_dump_json(exclude={"api_key"}).encode()))

    def _lane(self, verb: str, theirs: ExitStack) -> int:
        own, other = _channel(theirs)
        self.lanes.append(Lane(self, verb, own))
        return other

    def becomes_ready(self) -> bool:
        """Waits until it can be asked; False where it ended instead, or hangs."""
        self._control.settimeout(LONGEST_START_SECONDS)
        with suppress(EOFError, OSError), self._control.makefile("rb") as heard:
            read_frame(heard)
            return True
        return False

    def is_running(self, *, for_seconds: float) -> bool:
        """Whether it still runs when so long has passed."""
        self._control.settimeout(for_seconds)
        try:
            return bool(self._control.recv(1))  # It has nothing more to say.
        except TimeoutError:
            return True
        except OSError:
            return False

    def ended(self) -> int:
        """Waits until it has, since its lanes are closed, and not for ever; gives how."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def stop(self) -> None:
        self.close()
        self.ended()

    def kill(self) -> None:
        self._process.kill()

    def close(self, but: Collection[Lane] = ()) -> None:
        """Its lanes: then it ends when it has answered what it works on."""
        _close(self._control)
        for lane in self.lanes:
            if lane not in but:
                lane.close()


def _channel(theirs: ExitStack) -> tuple[socket.socket, int]:
    """Gives this end, and the number of the other one, which is closed here once the process has it."""
    own, other = socket.socketpair()
    return own, theirs.enter_context(other).fileno()


def _close(channel: socket.socket) -> None:
    # Whoever reads in another thread would not notice that it is closed.
    with suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)
    channel.close()


class Answerers:
    """While there is demand for them, so many processes as the settings say; those that end are replaced."""

    def __init__(self, settings: Settings) -> None:
        self.most = settings.processes
        self.demand = Demand()
        self._settings = settings
        self._idle: dict[str, list[Lane]] = {verb: [] for verb in BODIES}
        self._ready: set[Process] = set()
        self._changing = threading.Lock()
        """Held for a moment only, since the event loop waits for it."""
        self._beginning = threading.Lock()
        self._stopping = threading.Event()
        self._processes: set[Process] = set()
        self._keepers = [threading.Thread(target=self._keep, name="answerers") for _ in range(self.most)]
        for keeper in self._keepers:
            keeper.start()

    @property
    def ready(self) -> int:
        """Processes that can be asked."""
        return len(self._ready)

    async def work_out(self, request: Request) -> Answered | None:
        """None where no process can answer: then it has to be worked out here. What was begun is ended."""
        lane = self._taken(request.verb)
        if lane is None:
            return None
        lane.process.at_work += 1
        try:
            with fail_after(LONGEST_ANSWER_SECONDS, shield=True):
                answered = await lane.ask(request)
        except (OSError, EOFError):
            lane.close()
            lane.process.kill()
            return None
        finally:
            lane.process.at_work -= 1
        self._give_back(lane)
        return answered

    def _taken(self, verb: str) -> Lane | None:
        """A lane of the process that has least to do."""
        with self._changing:
            lane = min(self._idle[verb], key=lambda one: one.process.at_work, default=None)
            if lane is not None:
                self._idle[verb].remove(lane)
            return lane

    def _give_back(self, lane: Lane) -> None:
        with self._changing:
            if lane.process in self._ready:
                self._idle[lane.verb].append(lane)
            else:
                lane.close()

    def _admit(self, process: Process) -> None:
        with self._changing:
            self._ready.add(process)
            for lane in process.lanes:
                self._idle[lane.verb].append(lane)

    def _dismiss(self, process: Process) -> None:
        with self._changing:
            taken = set(process.lanes) if process in self._ready else set()
            for idle in self._idle.values():
                taken.difference_update(idle)
                idle[:] = [lane for lane in idle if lane.process is not process]
            self._ready.discard(process)
        # Those that are taken are closed by whoever took them.
        process.close(but=taken)

    def _keep(self) -> None:
        """See to it that there is a process while there is demand, until all are to stop."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            self.demand.wait()
            process = self._begun()
            if process is not None and self._see_through(process):
                pause = FIRST_PAUSE_SECONDS
            if self._stopping.wait(0 if self.demand.has_ended() else pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _see_through(self, process: Process) -> bool:
        """To its end. Tells whether it could ever be asked."""
        is_ready = process.becomes_ready()
        if is_ready:
            self._admit(process)
        while is_ready and process.is_running(for_seconds=LOOK_SECONDS) and not self.demand.has_ended():
            pass
        self._dismiss(process)
        status = process.ended()
        with self._beginning:
            self._processes.discard(process)
        if self.demand.has_ended():
            logger.info("few ask: a process that answers is not needed any more")
        elif not self._stopping.is_set():
            logger.error("a process that answers has ended", extra={"status": status})
        return is_ready

    def _begun(self) -> Process | None:
        """None where there is no room for one, or all are to stop."""
        with self._beginning:
            if self._stopping.is_set():
                return None
            if not has_room_for_as_much_again():
                logger.warning("no process that answers is begun: there is too little memory for one")
                return None
            try:
                process = Process(self._settings)
            except OSError as error:
                logger.error("a process that answers cannot be begun", extra={"reason": str(error)})
                return None
            self._processes.add(process)
            logger.info("many ask: another process that answers is begun")
            return process

    def stop(self) -> None:
        with self._beginning:
            self._stopping.set()
            processes = list(self._processes)
        self.demand.stop_waiting()
        for process in processes:
            process.stop()
        for keeper in self._keepers:
            keeper.join()
