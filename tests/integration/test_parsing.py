"""Documents that are read in another process, with the real limits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embeddings import parsing
from embeddings.domain import Heading, LoadedDocument, Source, Span
from embeddings.errors import InvalidText, LoccitError, ModelMissing, TooLarge, UnsupportedMediaType
from embeddings.loaders.formats import Formats, all_formats
from embeddings.loaders.plain import PlainLoader
from embeddings.loaders.scans import Tesseract
from embeddings.parsing import Limits, ParsingProcesses
from tests.files import scan

MISBEHAVING = '''
"""A loader that does what its document says."""
import sys
from embeddings.loaders import __main__ as confined
from embeddings.loaders import formats

class Misbehaving:
    media_types = ("text/x-order",)

    def __init__(self, tesseract):
        pass

    def load(self, source):
        from embeddings.domain import LoadedDocument
        order = source.content.decode()
        try:
            exec(order, found := {})
        except Exception as error:
            return LoadedDocument(text=f"{type(error).__name__}: {error}")
        return LoadedDocument(text=str(found.get("said", "done")))

formats.file_formats = Misbehaving
if __name__ == "__main__":
    confined.main()
'''


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParsingProcesses]:
    """One for all tests: what a test leaves of a process is what the next document finds."""
    folder = tmp_path_factory.mktemp("ordered")
    (folder / "misbehaving.py").write_text(MISBEHAVING, "utf-8")
    limits = Limits(memory_bytes=512 << 20, processor_seconds=2, seconds=20.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield ParsingProcesses("misbehaving", ["text/x-order"], limits=limits)


def do(processes: ParsingProcesses, order: str) -> str:
    return processes.load(Source(content=order.encode(), media_type="text/x-order")).text


@pytest.fixture(scope="module")
def formats() -> Formats:
    return all_formats()


PAGE = b"<!doctype html><title>T</title><h1>One</h1><p>Zo\xc3\xab \xf0\x9f\x90\xa6 reads.</p>"


def test_a_document_comes_back_as_it_was_read(formats: Formats) -> None:
    assert formats.load(Source(content=PAGE, media_type="")) == LoadedDocument(
        text="One\n\nZoë 🐦 reads.",
        title="T",
        headings=(Heading(Span(0, 3), 1, "One"),),
        media_type="text/html",
    )


def test_plain_text_starts_no_process() -> None:
    formats = Formats((PlainLoader(), ParsingProcesses("no_such_module", ["text/html"])))
    assert formats.load(Source(content=b"as it is", media_type="text/plain")).text == "as it is"


def test_one_process_stays_for_the_next_document(ordered: ParsingProcesses) -> None:
    first = do(ordered, "import os; said = os.getpid()")
    assert do(ordered, "import os; said = os.getpid()") == first
    assert first != str(os.getpid())


def test_pairs_of_documents_share_two_processes_one_of_which_ends_when_it_has_rested(
    ordered: ParsingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_SPARE_SECONDS", 1.0)
    order = "import os, time; time.sleep(0.05); said = os.getpid()"
    with ThreadPoolExecutor(2) as pool:
        seen = {process for _ in range(5) for process in pool.map(lambda _: do(ordered, order), range(2))}
    assert len(seen) == 2
    patience = time.monotonic() + 10
    while sum(Path("/proc", process).exists() for process in seen) > 1:
        assert time.monotonic() < patience
        time.sleep(0.05)
    assert do(ordered, order) in seen


def test_a_process_that_has_read_enough_goes_on_until_another_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_begin = tmp_path / "may begin"
    may_begin.touch()
    waits = f"import os, time\nwhile not os.path.exists({str(may_begin)!r}): time.sleep(0.01)\n"
    (tmp_path / "slow.py").write_text(MISBEHAVING.replace("import sys", waits), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(parsing, "_DOCUMENTS_EACH", 3)
    processes = ParsingProcesses("slow", ["text/x-order"])
    order = "import os; said = os.getpid()"
    first = do(processes, order)
    may_begin.unlink()
    assert [do(processes, order) for _ in range(5)] == 5 * [first]
    may_begin.touch()
    patience = time.monotonic() + 10
    while (latest := do(processes, order)) == first:
        assert time.monotonic() < patience
    assert not Path("/proc", first).exists()
    assert Path("/proc", latest).exists()


def test_a_process_that_has_read_enough_goes_on_where_no_other_can_begin(
    ordered: ParsingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = "import os; said = os.getpid()"
    first = do(ordered, order)
    monkeypatch.setattr(parsing, "_DOCUMENTS_EACH", 1)
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    assert do(ordered, order) == do(ordered, order) == first


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"%PDF-1.7 and no more", InvalidText),
        (b"\x89PNG\r\n\x1a\n", UnsupportedMediaType),
        (b"PK\3\4" + bytes(100), InvalidText),
        (b"", InvalidText),
    ],
)
def test_a_refusal_is_the_same_error_here(formats: Formats, content: bytes, refusal: type[LoccitError]) -> None:
    with pytest.raises(refusal) as raised:
        formats.load(Source(content=content, media_type=""))
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    "order",
    [
        "import os; os.kill(os.getpid(), 11)",
        "import os; os._exit(0)",
        "while True: pass",
    ],
    ids=["crash", "exit", "endless"],
)
def test_a_process_that_fails_refuses_its_document_and_the_next_is_read(ordered: ParsingProcesses, order: str) -> None:
    with pytest.raises(InvalidText, match="limits"):
        do(ordered, order)
    assert do(ordered, "said = 'well'") == "well"


def test_memory_is_bounded(ordered: ParsingProcesses) -> None:
    assert do(ordered, "held = []\nwhile True: held.append(bytearray(50 << 20))").startswith("MemoryError")
    assert do(ordered, "said = 'well'") == "well"


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    hanging = ParsingProcesses("misbehaving", ["text/x-order"], limits=Limits(seconds=3.0))
    started = time.monotonic()
    with pytest.raises(InvalidText, match="limits"):
        do(hanging, "import time; time.sleep(600)")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "order",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
    ],
)
def test_neither_network_nor_other_programs_are_in_reach(ordered: ParsingProcesses, order: str) -> None:
    assert do(ordered, order).startswith("PermissionError")


def test_no_file_can_be_written(ordered: ParsingProcesses, tmp_path: Path) -> None:
    order = f"stream = open({str(tmp_path / 'written')!r}, 'wb', buffering=0); stream.write(b'x')"
    assert do(ordered, order).startswith("OSError")


def test_the_environment_holds_no_secrets(ordered: ParsingProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCCIT_KEY", "secret")
    with pytest.raises(InvalidText):
        do(ordered, "import os; os._exit(0)")  # so that the next is begun now
    assert "secret" not in do(ordered, "import os; said = dict(os.environ)")


def test_what_is_printed_goes_nowhere(ordered: ParsingProcesses) -> None:
    assert do(ordered, "import os; print('x' * 100, flush=True); os.write(1, b'x'); said = 'well'") == "well"


def test_a_text_that_is_not_canonical_is_not_believed(ordered: ParsingProcesses) -> None:
    with pytest.raises(InvalidText):
        do(ordered, "said = 'a\\rb'")


@pytest.mark.parametrize(
    "answer",
    [{}, {"refused": []}, {"loaded": 1}, {"loaded": {}}, {"loaded": {"text": "a", "title": None, "pages": [[0]]}}],
)
def test_an_answer_of_another_shape_is_not_believed(answer: dict[str, object]) -> None:
    with pytest.raises(InvalidText, match="limits"):
        parsing._loaded(answer)


def test_what_a_process_has_started_ends_with_it() -> None:
    started = time.monotonic()
    command = ["sh", "-c", "sleep 20 & echo begun; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        parsing._kill(process)
        assert process.stdout.read() == b"", "read until nobody holds the pipe"
    assert time.monotonic() - started < 15


def test_a_line_of_a_hundred_megabytes_is_refused_soon(formats: Formats) -> None:
    started = time.process_time()
    with pytest.raises((InvalidText, TooLarge)):
        formats.load(Source(content=b"x" * 100_000_000, media_type="text/csv"))
    assert time.process_time() - started < 5


def test_many_threads_share_the_processes(formats: Formats) -> None:
    texts: list[str] = []

    def read(number: int) -> None:
        texts.append(formats.load(Source(content=b"<p>page %d" % number, media_type="text/html")).text)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == [f"page {number}" for number in range(8)]


# Scans ------------------------------------------------------------------------------------------------------------

has_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


@pytest.fixture(scope="module")
def recognising() -> Formats:
    return all_formats(Tesseract.find("eng"))


@has_tesseract
def test_a_scan_is_read_where_it_is_wished(recognising: Formats) -> None:
    content = scan("The harbour of Oldport was built in 1884.", "It has twelve cranes and three sheds.")
    loaded = recognising.load(Source(content=content, media_type="application/pdf"))

    assert "The harbour of Oldport was built in 1884" in loaded.text
    assert loaded.pages is not None
    assert len(loaded.pages) == 1
    assert loaded.warnings == ("The text of page(s) 1 was recognised in pictures, which makes mistakes.",)


@has_tesseract
def test_a_page_of_pictures_without_words_stays_blank(recognising: Formats) -> None:
    with pytest.raises(InvalidText, match="no text"):
        recognising.load(Source(content=scan(), media_type="application/pdf"))


@has_tesseract
def test_a_page_of_any_size_is_read_within_the_limits(recognising: Formats) -> None:
    huge = scan("A wide page.").replace(b"/MediaBox [ 0 0 612.0 792.0 ]", b"/MediaBox [ 0 0 61200 79200 ]")
    # Read to its end, and not given up for want of memory.
    with pytest.raises(InvalidText, match="no text"):
        recognising.load(Source(content=huge, media_type="application/pdf"))


@has_tesseract
def test_a_language_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelMissing, match="tlh"):
        Tesseract.find("eng+tlh")


def test_without_tesseract_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelMissing, match="install"):
        Tesseract.find("eng")
