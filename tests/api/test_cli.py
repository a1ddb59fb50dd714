from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service import cli
from service.calling import Call, Refused, _content
from service.commands import documents
from service.naming import document_id_of, media_type_of_file
from service.running import running
from service.settings import Settings
from tests.api.conftest import TEXT
from tests.commands import run_here

ROOT = Path(__file__).parents[2]
Loccit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "LOCCIT_DATA": str(tmp_path / "data"),
        "LOCCIT_SEEDS": "false",
        "LOCCIT_FREE_DISK_FLOOR_BYTES": "0",
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def loccit(environment: dict[str, str], tmp_path: Path) -> Loccit:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_here(*arguments, cwd=tmp_path, environment=environment | variables)

    return run


def test_a_file_is_put_found_and_asked_in_this_process(loccit: Loccit, tmp_path: Path) -> None:
    (tmp_path / "harwick.txt").write_text(TEXT)
    put = loccit("put", "harwick.txt", "--json")
    assert put.returncode == 0, put.stderr
    assert json.loads(put.stdout)[0]["document_id"] == "harwick.txt"
    assert loccit("documents").stdout.startswith("harwick.txt  version 1")
    (tmp_path / "film").write_bytes(b"\x7fELF\0")
    refused = loccit("put", "film")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert refused.stderr.startswith("loccit: film: ")
    found = loccit("search", "Who built Harwick Lighthouse?")
    assert "Edda Thornquist" in found.stdout
    assert "harwick.txt, version 1, 0–" in found.stdout
    asked = loccit("ask", "In what year was Harwick Lighthouse bulit?")
    understood, answer, _, quote, *_ = asked.stdout.splitlines()
    assert (understood, answer) == ("Understood as: In what year was Harwick Lighthouse built?", "1874")
    assert quote.startswith("[1] ")
    assert quote[4:].replace("[1874]", "1874") in TEXT
    assert loccit("delete", "harwick.txt").stdout == "harwick.txt: deleted, 1 passage\n"
    assert loccit("documents").stdout == ""
    again = loccit("delete", "harwick.txt")
    assert (again.returncode, again.stderr.startswith("loccit: harwick.txt: ")) == (1, True)
    assert loccit("delete", "harwick.txt", "--purge").returncode == 0


def test_commands_find_the_service_that_runs_on_the_same_data(
    loccit: Loccit, environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as serving:  # fmt: skip
        try:
            assert serving.stdout is not None
            assert serving.stdout.readline().startswith("Loccit answers at http://127.0.0.1:")
            assert running(tmp_path / "data") is not None
            (tmp_path / "harwick.txt").write_text(TEXT)
            assert loccit("put", "harwick.txt").stdout == "harwick.txt: version 1, 1 passage\n"
            answer = loccit("ask", "In what year was Harwick Lighthouse built?")
            assert answer.returncode == 0, answer.stderr
            assert answer.stdout.startswith("1874")
            assert "harwick.txt, version 1" in answer.stdout
            (tmp_path / "docs").mkdir()
            (tmp_path / "docs" / "bonn.txt").write_text("The lamp of Bonn is green.")
            ingested = loccit("ingest", "docs", "harwick.txt")
            assert ingested.stdout.startswith("In 'default': 2 new ("), ingested.stderr
            assert "bonn.txt-" in loccit("documents").stdout
            second = loccit("serve", "--port", "0")
            assert second.returncode == 1
            assert len(second.stderr.splitlines()) == 1
        finally:
            serving.terminate()
            assert serving.wait(30) == 0
    assert running(tmp_path / "data") is None


def test_a_second_signal_ends_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"], cwd=tmp_path,
        env=environment | {"LOCCIT_GRACEFUL_STOP_SECONDS": "600"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as serving:  # fmt: skip
        try:
            assert serving.stdout is not None
            address = serving.stdout.readline().split()[3].removeprefix("http://").split(":")
            with socket.create_connection((address[0], int(address[1]))) as held:
                head = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                held.sendall(head + b"Content-Length: 9\r\n\r\n{")
                time.sleep(0.5)
                serving.terminate()
                deadline = time.monotonic() + 20
                while (tmp_path / "data" / "service.json").exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert serving.poll() is None, "the first signal waits for what is going on"
                serving.terminate()
                assert serving.wait(10) == 128 + signal.SIGTERM
                assert serving.stderr is not None
                assert "stops at once" in serving.stderr.read()
        finally:
            serving.kill()


def test_a_backup_is_taken_while_the_service_runs_and_restored(
    loccit: Loccit, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "harwick.txt").write_text(TEXT)
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as serving:  # fmt: skip
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            loccit("put", "harwick.txt")
            made = loccit("backup", "kept", "--json")
            assert made.returncode == 0, made.stderr
            assert json.loads(made.stdout)["collections"] == ["default"]
            refused = loccit("restore", "kept", "--overwrite")
            assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
            assert "Another Loccit process" in refused.stderr
        finally:
            serving.terminate()
            assert serving.wait(30) == 0
    restored = loccit("restore", "kept", "--data", "elsewhere")
    assert restored.stdout.startswith("Restored to ")
    assert loccit("documents", "--data", "elsewhere").stdout.startswith("harwick.txt  version 1")
    assert loccit("doctor", "--data", "elsewhere").returncode == 0


def test_keys_are_made_and_revoked_while_the_service_runs(
    loccit: Loccit, environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as serving:  # fmt: skip
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            made = loccit("keys", "add", "a reader", "--scope", "ask", "--collection", "default", "--json")
            assert made.returncode == 0, made.stderr
            key = json.loads(made.stdout)
            here = running(tmp_path / "data")
            assert here is not None
            assert (tmp_path / "data" / "service.json").stat().st_mode & 0o077 == 0
            url = {"LOCCIT_URL": here.url}
            assert loccit("documents", **url).stderr.startswith("loccit: Send the header")
            assert loccit("documents", **url, LOCCIT_API_KEY=key["key"]).returncode == 0
            refused = loccit("keys", "list", **url, LOCCIT_API_KEY=key["key"])
            assert "needs a key with the scope `admin`" in refused.stderr
            listed = loccit("keys", "list").stdout
            assert listed.startswith(f"{key['key_id']}  a reader: ask; default; 60 asks")
            assert loccit("keys", "revoke", key["key_id"]).returncode == 0
            assert loccit("keys", "revoke", key["key_id"]).stderr == "loccit: There is no such key.\n"
            assert loccit("documents", **url).returncode == 0
        finally:
            serving.terminate()
            assert serving.wait(30) == 0


def write_docs(folder: Path) -> None:
    (folder / "docs" / "x").mkdir(parents=True)
    (folder / "docs" / "harwick.md").write_text(f"# Harwick\n\n{TEXT}")
    (folder / "docs" / "x" / "bonn.txt").write_text("The lamp of Bonn is green.")


def test_a_folder_is_ingested_followed_and_answers(loccit: Loccit, tmp_path: Path) -> None:
    write_docs(tmp_path)
    dry = loccit("ingest", "docs", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines()[2].startswith("Would be in 'default': 2 new (")
    assert loccit("documents").stdout == ""
    first = loccit("ingest", "docs", "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["new"], told["failed"], told["interrupted"]) == (2, [], False)
    (tmp_path / "docs" / "x" / "bonn.txt").unlink()
    (tmp_path / "docs" / "bad.txt").write_bytes(b"nul \0 nul")
    (tmp_path / "docs" / "old.txt").write_bytes("The café of Bonn is blue.".encode("latin-1"))
    second = loccit("ingest", "docs", "--sync")
    assert second.returncode == 1
    assert second.stdout.startswith("In 'default': 1 new, 1 removed, 1 unchanged, 1 failed (")
    assert second.stdout.splitlines()[-1] == "In part: 1 file, named below."
    failed, in_part = second.stderr.splitlines()[-2:]
    assert failed == f"failed: {tmp_path}/docs/bad.txt: The text holds NUL characters, as binary files do."
    assert in_part.startswith(f"in part: {tmp_path}/docs/old.txt: The encoding was not declared")
    assert "Edda Thornquist" in loccit("search", "Who built Harwick Lighthouse?").stdout


def test_a_folder_that_has_lost_all_its_files_is_not_taken_for_empty(loccit: Loccit, tmp_path: Path) -> None:
    write_docs(tmp_path)
    assert loccit("ingest", "docs", "-c", "lamps").returncode == 0
    (tmp_path / "docs" / "harwick.md").unlink()
    (tmp_path / "docs" / "x" / "bonn.txt").unlink()
    refused = loccit("ingest", "docs", "--sync", "-c", "lamps")
    assert refused.returncode == 1
    assert "2 documents would be removed" in refused.stderr
    assert "2 removed" in loccit("ingest", "docs", "--sync", "--allow-empty", "-c", "lamps").stdout


def test_a_run_that_is_interrupted_goes_on_where_it_was(
    environment: dict[str, str], loccit: Loccit, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(150):
        lamps = " ".join(f"Lamp {number} of cliff {cliff} shines." for cliff in range(9))
        (tmp_path / "docs" / f"{number}.txt").write_text(lamps)
    with subprocess.Popen(
        [sys.executable, "-m", "service", "ingest", "docs", "--json"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as ingesting:  # fmt: skip
        database = tmp_path / "data" / "collections"
        while not list(database.glob("*/originals/*/*")):
            time.sleep(0.05)
        time.sleep(0.3)
        ingesting.send_signal(signal.SIGINT)
        output, errors = ingesting.communicate(timeout=60)
    assert ingesting.returncode == 130, errors
    first = json.loads(output)
    assert first["interrupted"] is True
    assert first["new"] < 150
    second = json.loads(loccit("ingest", "docs", "--json").stdout)
    assert second["failed"] == []
    assert second["unchanged"] >= first["new"]
    assert second["new"] + second["unchanged"] == 150
    third = json.loads(loccit("ingest", "docs", "--json").stdout)
    assert (third["new"], third["changed"], third["unchanged"]) == (0, 0, 150)


def test_a_folder_is_followed(environment: dict[str, str], loccit: Loccit, tmp_path: Path) -> None:
    write_docs(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "service", "ingest", "docs", "--watch"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as following:  # fmt: skip
        try:
            assert following.stdout is not None
            assert following.stdout.readline().startswith("In 'default': 2 new (")
            (tmp_path / "docs" / "harwick.md").write_text("# Harwick\n\nIt is gone.")
            (tmp_path / "docs" / "x" / "bonn.txt").unlink()
            assert following.stdout.readline().startswith("In 'default': 1 changed, 1 removed (")
            following.send_signal(signal.SIGINT)
            assert following.wait(30) == 130
        finally:
            following.kill()
    assert "version 2" in loccit("documents").stdout


def test_what_goes_wrong_is_told_in_one_line(loccit: Loccit) -> None:
    for arguments, variables, code in (
        (("serve", "--host", "0.0.0.0"), {}, 1),
        (("ask", "Why?"), {"LOCCIT_URL": "http://127.0.0.1:9"}, 1),
        (("ask", "Why?", "-c", "no-such-one"), {}, 1),
        (("documents",), {"LOCCIT_PORT": "many"}, 2),
        (("ingest", "."), {"LOCCIT_URL": "http://127.0.0.1:9"}, 1),
        (("backup", "kept", "--data", "nothing"), {}, 1),
        (("restore", "nothing"), {}, 1),
    ):
        ended = loccit(*arguments, **variables)
        assert ended.returncode == code, ended.stderr
        assert ended.stderr.startswith("loccit: ")
        assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("status", [502, 200])
def test_a_page_of_a_proxy_is_told_in_a_sentence(status: int) -> None:
    with pytest.raises(Refused) as caught:
        _content(httpx.Response(status, html="<h1>Bad gateway</h1>"))
    assert caught.value.status == status


def test_several_files_are_put_and_several_pages_listed_by_one_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    pages = iter([{"items": [{"n": 1}], "next_cursor": "next"}, {"items": [{"n": 2}], "next_cursor": None}])

    @contextmanager
    def counted(settings: Settings) -> Iterator[Call]:
        started.append(settings)
        yield lambda method, path, **sent: next(pages) if method == "GET" else {"n": path[-1]}

    monkeypatch.setattr(documents, "calling", counted)
    monkeypatch.setattr(documents, "_receipt_line", str)
    monkeypatch.setattr(documents, "_document_line", str)
    for name in ("a", "b"):
        (tmp_path / name).write_text("Words.")
    assert CliRunner().invoke(cli.app, ["put", str(tmp_path / "a"), str(tmp_path / "b")]).output.count("n") == 2
    assert CliRunner().invoke(cli.app, ["documents"]).output.count("n") == 2
    assert len(started) == 2


def test_the_doctor_finds_a_fresh_store_well(loccit: Loccit) -> None:
    checked = loccit("doctor", "--json")
    assert checked.returncode == 0, checked.stderr
    assert all(finding["ok"] for finding in json.loads(checked.stdout))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.MD", b"", "text/markdown"),
        ("a", b"  <!DOCTYPE html><p>", "text/html"),
        ("a", b"words", "text/plain"),
        ("a", b"%PDF-1.7\0", "application/pdf"),
        ("a.bin", b"\x7fELF\0", None),
    ],
)
def test_the_type_of_a_file_is_told_by_its_name_or_content(name: str, content: bytes, expected: str | None) -> None:
    assert media_type_of_file(name, content) == expected


@pytest.mark.parametrize("name", ["..", "a b.txt", "鳥.txt", "../../etc/passwd", "x" * 300, "", "CON\0"])
def test_a_name_that_is_no_id_becomes_one_of_its_own(name: str) -> None:
    made = document_id_of(name)
    assert document_id_of(made) == made != name
    assert document_id_of(name + "x") != made
