"""Processes that answer for the one that serves: begun, handed requests, and begun anew when they end."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress

from anyio import fail_after

from embeddings.frames import LENGTH, framed, length_of, read_frame
from service.answerers.lanes import threads_each
from service.answerers.messages import BODIES, Request, answered_by
from service.asking import Answered
from service.settings import Settings, environment_of_children

logger = logging.getLogger(__name__)

MODULE = "service.answerers.process"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Before a process that ended is begun again; twice as long each time that it never came to answer."""
LONGEST_ANSWER_SECONDS = 60.0
"""After which a process is taken to hang, and another one is begun."""
STOP_SECONDS = 10.0
"""For what a process still works on when the service stops."""


class Lane:
    """One request at a time."""

    def __init__(self, process: Process, verb: str, channel: socket.socket) -> None:
        self.process = process
        self.verb = verb
        self._channel = channel

    def tell(self, content: bytes) -> None:
        """Before anything is asked. That the process is gone shows when it is to be heard."""
        with suppress(OSError):
            self._channel.sendall(framed(content))

    def hear(self) -> bool:
        """Whether the process says that it can be asked; False where it ended instead."""
        with suppress(EOFError, OSError), self._channel.makefile("rb") as heard:
            read_frame(heard)
            return True
        return False

    def begin(self) -> None:
        self._channel.setblocking(False)

    async def ask(self, request: Request) -> Answered | None:
        """None where the process could not answer. Raises OSError or EOFError where it is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._channel, framed(request.written()))
        length = length_of(await self._received(LENGTH.size))
        return answered_by(await self._received(length))

    def close(self) -> None:
        # Whoever reads in another thread would not notice that it is closed.
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()

    async def _received(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            part = await asyncio.get_running_loop().sock_recv(self._channel, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)


class Process:
    """Begun at once, so that it loads while the one that serves does; it looks into the data folder once it may."""

    def __init__(self, settings: Settings) -> None:
        self.lanes: list[Lane] = []
        self.at_work = 0
        """Requests that it has not answered yet."""
        with ExitStack() as theirs, ExitStack() as ours:
            ours.callback(self.close)
            threads = [
                [self._lane(verb, theirs) for _ in range(lanes)]
                for verb, each in threads_each(settings).items()
                for lanes in each
            ]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, json.dumps(threads)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment_of_children(),
                pass_fds=[channel for channels in threads for channel in channels],
                start_new_session=True,
            )
            ours.pop_all()
        self._first.tell(settings.model_dump_json(exclude={"api_key"}).encode())

    def _lane(self, verb: str, theirs: ExitStack) -> int:
        """Gives the number of the other end, which is closed here once the process has it."""
        own, other = socket.socketpair()
        self.lanes.append(Lane(self, verb, own))
        return theirs.enter_context(other).fileno()

    @property
    def _first(self) -> Lane:
        return self.lanes[0]

    def open(self) -> bool:
        """Let it look into the data folder, and wait until it can be asked; False where it ended instead."""
        self._first.tell(b"")
        is_ready = self._first.hear()
        for lane in self.lanes:
            lane.begin()
        return is_ready

    def wait(self) -> int:
        """Until it ends; gives how it did."""
        return self._process.wait()

    def stop(self) -> None:
        self.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Its lanes: then it ends when it has answered what it works on."""
        for lane in self.lanes:
            lane.close()


class Answerers:
    """So many processes as the settings say; those that end are replaced."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.wanted = settings.processes
        self._idle: dict[str, list[Lane]] = {verb: [] for verb in BODIES}
        self._ready: set[Process] = set()
        self._changing = threading.Lock()
        """Held for a moment only, since the event loop waits for it."""
        self._beginning = threading.Lock()
        self._stopping = threading.Event()
        self._processes: set[Process] = set()
        first = [self._begun() for _ in range(self.wanted)]
        self._keepers = [threading.Thread(target=self._keep, args=(one,), daemon=True) for one in first]

    def open(self) -> None:
        """Let them look into the data folder; each is asked as soon as it can be."""
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
        for lane in set(process.lanes) - taken:
            lane.close()
        with self._beginning:
            self._processes.discard(process)

    def _keep(self, process: Process | None) -> None:
        """See to it that there is a process, until all are to stop."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            if process is not None and self._see_through(process):
                pause = FIRST_PAUSE_SECONDS
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            process = self._begun()

    def _see_through(self, process: Process) -> bool:
        """From when it may look into the data folder to its end. Tells whether it could ever be asked."""
        is_ready = process.open()
        if is_ready:
            self._admit(process)
        status = process.wait()
        self._dismiss(process)
        if not self._stopping.is_set():
            logger.error("a process that answers has ended", extra={"status": status})
        return is_ready

    def _begun(self) -> Process | None:
        """None where there is no room for one, or all are to stop."""
        with self._beginning:
            if self._stopping.is_set():
                return None
            try:
                process = Process(self._settings)
            except OSError as error:
                logger.error("a process that answers cannot be begun", extra={"reason": str(error)})
                return None
            self._processes.add(process)
            return process

    def stop(self) -> None:
        with self._beginning:
            self._stopping.set()
            processes = list(self._processes)
        for process in processes:
            process.stop()
        for keeper in self._keepers:
            if keeper.ident is not None:
                keeper.join()
