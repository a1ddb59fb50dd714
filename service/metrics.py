"""What the service counts, in a registry of its own, as Prometheus text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "loccit_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "loccit_request_seconds", "Time to answer a request.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._stages = Histogram(
            "loccit_stage_seconds", "Time of one stage of a question.", ("stage",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._answers = Counter(
            "loccit_answers", "Questions answered, or the reason why not.", ("outcome",), registry=self.registry
        )
        self._collections = Gauge("loccit_collections", "Collections.", registry=self.registry)
        self._documents = Gauge("loccit_documents", "Documents of all collections.", registry=self.registry)
        self._passages = Gauge("loccit_passages", "Passages of all collections.", registry=self.registry)
        self._seq = Gauge("loccit_seq", "Highest sequence number of all collections.", registry=self.registry)
        self._tail = Gauge("loccit_tail_passages", "Passages not in an index on disk yet.", registry=self.registry)
        self._dead = Gauge(
            "loccit_dead_ratio", "Share of indexed passages that are no longer live.", registry=self.registry
        )
        self._unwell = Gauge(
            "loccit_unwell", "1 for each part that is not well, as /health/ready tells.", ("part",),
            registry=self.registry,
        )  # fmt: skip
        self._free = Gauge("loccit_disk_free_bytes", "Free on the disk of the data folder.", registry=self.registry)
        self._queued = Gauge(
            "loccit_queued", "Requests that wait or are worked on, by queue; jobs that are not finished.", ("queue",),
            registry=self.registry,
        )  # fmt: skip
        self._processes = Gauge(
            "loccit_answering_processes", "Processes that can search and ask beside this one.", registry=self.registry
        )
        self._rejections = Counter(
            "loccit_rejections", "Requests answered with a problem, by its kind.", ("reason",), registry=self.registry
        )
        self._lag = Histogram(
            "loccit_loop_lag_seconds", "By how much the event loop is late.", buckets=_SECONDS, registry=self.registry
        )

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def question(self, timings_ms: Mapping[str, float]) -> None:
        for stage, milliseconds in timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def answer(self, outcome: str) -> None:
        self._answers.labels(outcome).inc()

    def rejection(self, reason: str) -> None:
        self._rejections.labels(reason).inc()

    def rejections(self, reason: str, *, method: str, route: str, status: int) -> Callable[[float], None]:
        """Counts one of them, told the seconds that it took. For those that come by the thousand."""
        rejections, requests = self._rejections.labels(reason), self._requests.labels(method, route, str(status))
        times = self._seconds.labels(route)

        def count(seconds: float) -> None:
            rejections.inc()
            requests.inc()
            times.observe(seconds)

        return count

    def loop_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def queued(self, queues: Mapping[str, int]) -> None:
        for name, length in queues.items():
            self._queued.labels(name).set(length)

    def processes(self, ready: int) -> None:
        self._processes.set(ready)

    def indexes(self, *, tail: int, dead: int, passages: int) -> None:
        self._tail.set(tail)
        self._dead.set(dead / (dead + passages) if dead else 0.0)

    def parts(self, are_well: Mapping[str, bool], *, free_bytes: int) -> None:
        for part, is_well in are_well.items():
            self._unwell.labels(part).set(not is_well)
        self._free.set(free_bytes)

    def contents(self, *, collections: int, documents: int, passages: int, seq: int) -> None:
        self._collections.set(collections)
        self._documents.set(documents)
        self._passages.set(passages)
        self._seq.set(seq)

    def text(self) -> bytes:
        return generate_latest(self.registry)
