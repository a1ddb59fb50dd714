"""The real service, killed in mid-ingest: everything acknowledged is there at the next start, and the job goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from service import bootstrap
from service.settings import Settings

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(data: Path, stop_with: signal.Signals) -> Iterator[httpx.Client]:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOCCIT_DATA": str(data), "LOCCIT_SEEDS": "false"}
    environment |= {"LOCCIT_PORT": str(port), "LOCCIT_FREE_DISK_FLOOR_BYTES": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                wait_until_ready(client, process)
                yield client
        finally:
            process.send_signal(stop_with)
            process.wait(timeout=30)


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the service ended while it started"
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the service did not become ready")


def text(number: int) -> str:
    return " ".join(f"Entry {number} of the ledger lists {count} eggs of the {count}th heron." for count in range(6))


def test_a_service_killed_in_mid_ingest_loses_nothing_and_finishes_its_job(tmp_path: Path) -> None:
    files = [("file", (f"job-{number}", text(number).encode(), "text/plain")) for number in range(250)]
    with served(tmp_path / "data", signal.SIGKILL) as client:
        accepted = client.post("/v1/collections/default/documents", files=files)
        assert accepted.status_code == 202
        acknowledged = []
        for number in range(4):
            answer = client.put(f"/v1/collections/default/documents/put-{number}", json={"text": text(1000 + number)})
            assert answer.status_code == 201
            acknowledged.append(number)
        job = client.get(f"/v1/jobs/{accepted.json()['job_id']}").json()
        assert job["state"] in ("queued", "running"), "the job was over before the kill"
    with served(tmp_path / "data", signal.SIGTERM) as client:
        for number in acknowledged:
            kept = client.get(f"/v1/collections/default/documents/put-{number}/text")
            assert kept.text == text(1000 + number)
        deadline = time.monotonic() + 60
        while job["state"] not in ("succeeded", "failed") and time.monotonic() < deadline:
            time.sleep(0.2)
            job = client.get(f"/v1/jobs/{job['job_id']}").json()
        assert (job["state"], {item["version"] for item in job["items"]}) == ("succeeded", {1})
        found = client.post("/v1/search", json={"question": "Entry 117 of the ledger", "top_k": 3}).json()
        assert found["passages"][0]["document_id"] == "job-117"
    findings = bootstrap.doctor(Settings(data=tmp_path / "data"))
    assert [finding for finding in findings if not finding.ok] == []
