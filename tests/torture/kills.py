"""The service is killed at random while clients write, delete and ask; a ledger of what it acknowledged is compared.

Each document has one writer, so that the order of its writes is known. What was under way at the kill may have happened
or not, nothing else may differ: nothing acknowledged is lost, nothing appears that nobody sent, nothing is there twice,
no version number goes back, and what was deleted is found by no search.
"""

from __future__ import annotations

import multiprocessing
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from tests.torture import checks, server

WRITERS = 3
DOCUMENTS_EACH = 12
READY_SECONDS = 60.0
STARTS_CUT_SHORT = 0.15
"""Share of the kills that hit a service while it starts."""
TWIN_EVERY = 5
"""Kills between two comparisons with a store without indexes, which take longer than the other checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    version: int
    text: str | None
    """None: deleted."""


@dataclass(slots=True)
class Ledger:
    """What the service acknowledged, and what it was asked to do and had not answered when it died."""

    acknowledged: dict[str, State] = field(default_factory=dict)
    under_way: dict[str, str | None] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, name: str, text: str | None) -> None:
        with self.lock:
            self.under_way[name] = text
            if text is not None:
                self.ever.setdefault(name, set()).add(text)

    def end(self, name: str, state: State | None) -> None:
        with self.lock:
            if state is not None:
                self.acknowledged[name] = state
                self.counts["writes"] += 1
            del self.under_way[name]

    def fault(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)

    def deleted(self) -> set[str]:
        """Documents that are deleted and that nobody is about to bring back."""
        with self.lock:
            gone = {name for name, state in self.acknowledged.items() if state.text is None}
            return gone - self.under_way.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    kills: int
    during_start: int
    writes: int
    asks: int
    in_doubt: int
    """Writes that were under way at a kill."""
    kept: int
    """Of these, those that had happened."""
    twins: int
    seconds: float
    faults: tuple[str, ...]


class Client(threading.Thread):
    """Goes on until the service is gone."""

    def __init__(self, ledger: Ledger, path: Path, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.ledger = ledger
        self.chance = chance
        self.http = connect(path)

    def run(self) -> None:
        with self.http:
            try:
                while True:
                    self.step()
            except httpx.TransportError:
                pass  # Killed: what was under way stays so in the ledger.
            except Exception as error:
                self.ledger.fault(f"{type(self).__name__}: {error!r}")

    def step(self) -> None:
        raise AssertionError("each client has steps of its own")


class Writer(Client):
    def __init__(self, ledger: Ledger, path: Path, chance: random.Random, number: int) -> None:
        super().__init__(ledger, path, chance)
        self.number = number

    def step(self) -> None:
        name = f"w{self.number}-{self.chance.randrange(DOCUMENTS_EACH)}"
        if self.chance.random() < 0.2:
            self.delete(name)
        else:
            self.put(name, checks.text_of(self.chance.randrange(100_000)))

    def put(self, name: str, text: str) -> None:
        self.ledger.begin(name, text)
        reply = self.http.put(f"/v1/collections/default/documents/{name}", json={"text": text})
        if reply.status_code not in (200, 201):
            self.ledger.fault(f"put answered {reply.status_code}: {reply.text}")
            self.ledger.end(name, None)
            return
        version = reply.json()["version"]
        before = self.ledger.acknowledged.get(name)
        if before is not None and version <= before.version and before.text != text:
            self.ledger.fault(f"{name}: version {version} after {before.version}")
        self.ledger.end(name, State(version=version, text=text))

    def delete(self, name: str) -> None:
        self.ledger.begin(name, None)
        params = {"purge": "true"} if self.chance.random() < 0.5 else {}
        reply = self.http.delete(f"/v1/collections/default/documents/{name}", params=params)
        before = self.ledger.acknowledged.get(name)
        if reply.status_code == 200:
            self.ledger.end(name, State(version=before.version if before else 0, text=None))
            return
        if reply.status_code != 404 or (before is not None and before.text is not None):
            self.ledger.fault(f"delete of {name} answered {reply.status_code}: {reply.text}")
        self.ledger.end(name, before and State(version=before.version, text=None))


class Asker(Client):
    def step(self) -> None:
        deleted = self.ledger.deleted()
        question = self.chance.choice(checks.QUESTIONS)
        kind = self.chance.choice(("ask", "search"))
        reply = self.http.post(f"/v1/{kind}", json={"question": question, "top_k": 10})
        if reply.status_code != 200:
            self.ledger.fault(f"{kind} answered {reply.status_code}: {reply.text}")
            return
        still_deleted = deleted & self.ledger.deleted()
        answer = reply.json()
        for cited in (*answer["passages"], *answer.get("citations", ())):
            self.check(cited, still_deleted)
        self.ledger.counts["asks"] += 1

    def check(self, cited: dict[str, object], deleted: set[str]) -> None:
        name, quote = str(cited["document_id"]), str(cited.get("text") or cited["quote"])
        if name in deleted:
            self.ledger.fault(f"{name} was found though it is deleted")
        with self.ledger.lock:
            known = set(self.ledger.ever.get(name, ()))
        start, end = int(str(cited["start"])), int(str(cited["end"]))
        if not any(text[start:end] == quote for text in known):
            self.ledger.fault(f"a passage of {name} stands in no text that was sent: {quote!r}")


def run(
    workplace: Path,
    *,
    kills: int,
    seed: int,
    longest_seconds: float = 1.0,
    deadline: float = float("inf"),
    progress: Callable[[int], None] = lambda kill: None,
) -> Outcome:
    chance, ledger, data = random.Random(seed), Ledger(), workplace / "data"
    started, during_start, in_doubt, kept, twins, done = time.monotonic(), 0, 0, 0, 0, 0
    for kill in range(1, kills + 1):
        if time.monotonic() > deadline:
            break
        if chance.random() < STARTS_CUT_SHORT:
            cut_start_short(data, workplace / "socket", chance)
            during_start += 1
        else:
            kill_under_load(ledger, data, workplace / "socket", chance, longest_seconds)
        if not data.exists():
            continue
        in_doubt += len(ledger.under_way)
        ledger.faults += [f"kill {kill}: {one}" for one in checks.findings(data)]
        kept += settle(ledger, data, kill)
        if kill % TWIN_EVERY == 0:
            twins += 1
            if not checks.equals_a_rebuild(data, workplace / "twin"):
                ledger.faults.append(f"kill {kill}: the indexes answer otherwise than the store")
        done = kill
        progress(kill)
    return Outcome(
        kills=done,
        during_start=during_start,
        writes=ledger.counts["writes"],
        asks=ledger.counts["asks"],
        in_doubt=in_doubt,
        kept=kept,
        twins=twins,
        seconds=time.monotonic() - started,
        faults=tuple(ledger.faults),
    )


def kill_under_load(ledger: Ledger, data: Path, path: Path, chance: random.Random, longest_seconds: float) -> None:
    with serving(data, path) as process:
        wait_until_ready(path, process)
        clients: list[Client] = [
            Writer(ledger, path, random.Random(chance.random()), number) for number in range(WRITERS)
        ]
        clients.append(Asker(ledger, path, random.Random(chance.random())))
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.01, longest_seconds))
        process.kill()
        for client in clients:
            client.join()


def cut_start_short(data: Path, path: Path, chance: random.Random) -> None:
    with serving(data, path):
        time.sleep(chance.uniform(0.0, 0.3))


@contextmanager
def serving(data: Path, path: Path) -> Iterator[BaseProcess]:
    """A process of its own, forked from one that has imported everything and started no thread; killed at the end."""
    path.unlink(missing_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    process = context.Process(target=server.serve, args=(str(data), str(path)))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def connect(path: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path), verify=False), base_url="http://localhost", timeout=60
    )


def wait_until_ready(path: Path, process: BaseProcess) -> None:
    patience = time.monotonic() + READY_SECONDS
    while not is_listening(path):
        if not process.is_alive() or time.monotonic() > patience:
            raise AssertionError("the service did not start")
        time.sleep(0.01)
    with connect(path) as http:
        ready = http.get("/health/ready")
        if ready.status_code != 200:
            raise AssertionError(f"the service is not ready: {ready.text}")


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def settle(ledger: Ledger, data: Path, kill: int) -> int:
    """Compare the store with the ledger, and note what became of the writes that were under way.

    Returns how many of these had happened.
    """
    with checks.opened(data) as library:
        stored = checks.texts(library).get("default", {})
    happened = 0
    for name in ledger.acknowledged.keys() | ledger.under_way.keys() | stored.keys():
        found = stored.get(name)
        expected = ledger.acknowledged.get(name)
        if is_as_acknowledged(found, expected):
            continue
        if name in ledger.under_way and is_under_way(found, ledger.under_way[name], expected):
            happened += 1
            version = found[0] if found else (expected.version if expected else 0)
            ledger.acknowledged[name] = State(version=version, text=found and found[1])
            continue
        ledger.fault(f"kill {kill}: {name} is {shown(found)}, acknowledged was {expected}")
    ledger.under_way.clear()
    return happened


def is_as_acknowledged(found: tuple[int, str] | None, expected: State | None) -> bool:
    if found is None:
        return expected is None or expected.text is None
    return expected is not None and found == (expected.version, expected.text)


def is_under_way(found: tuple[int, str] | None, text: str | None, before: State | None) -> bool:
    if found is None:
        return text is None
    return found[1] == text and found[0] > (before.version if before else 0)


def shown(found: tuple[int, str] | None) -> str:
    return "absent" if found is None else f"version {found[0]}, {found[1][:60]!r}"
