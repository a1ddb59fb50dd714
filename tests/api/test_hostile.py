"""What somebody might try who means no good: names that lead elsewhere, ranges without end, files left readable."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from embeddings.domain import Source
from service import bootstrap
from service.settings import Settings
from tests.api.conftest import TEXT, Api

NAMES = [
    "../../../../tmp/escaped.txt",
    "..\\..\\escaped.txt",
    "/etc/passwd",
    "C:\\escaped.txt",
    "%2e%2e%2fescaped.txt",
    "..\N{FULLWIDTH SOLIDUS}escaped.txt",
    "\N{RIGHT-TO-LEFT OVERRIDE}txt.exe",
    "CON",
    "escaped.txt\r\nX-Injected: yes",
    "$(touch escaped).txt",
    "x" * 10_000,
    ".",
    "..",
    "~root/.ssh/authorized_keys",
]
STORED = re.compile(
    r"lease|system\.db|collections(/[0-9a-f]+(/(collection\.db|originals(/[0-9a-f]{2}(/[0-9a-f]{64})?)?|index(/.+)?))?)?"
)


def places(data: Path) -> list[str]:
    found = (str(path.relative_to(data)).removesuffix("-wal").removesuffix("-shm") for path in data.rglob("*"))
    return [name for name in found if not STORED.fullmatch(name)]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:30]))
def test_the_name_of_a_file_reaches_no_path(api: Api, collection: str, settings: Settings, name: str) -> None:
    before = places(settings.data)
    files = {"file": (name, TEXT.encode(), "text/plain")}
    response = api("POST", f"/v1/collections/{collection}/documents", files=files)
    assert response.status_code in (202, 400, 422)
    assert "x-injected" not in response.headers
    if response.status_code == 202:
        job = response.json()["job_id"]
        assert api("GET", f"/v1/jobs/{job}/events").text.count("event: end") == 1
    assert places(settings.data) == before


@pytest.mark.parametrize("ranges", ["bytes=0-0", "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(10_000))])
def test_a_range_is_not_looked_at(api: Api, lighthouse: str, ranges: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/harwick.txt"
    for place in (f"{path}/original", f"{path}/text", "/static/app.js"):
        whole, part = api("GET", place), api("GET", place, headers={"Range": ranges})
        assert (part.status_code, part.content) == (200, whole.content)


@pytest.fixture
def open_handed() -> Iterator[None]:
    """A umask that takes no right from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_handed")
def test_nobody_else_can_read_what_is_stored(new_data: Path) -> None:
    with closing(bootstrap.start(Settings(data=new_data, seeds=False, free_disk_floor_bytes=0))) as engine:
        collection = engine.library.collection("default")
        collection.put("harwick.txt", Source(content=TEXT.encode(), media_type="text/plain"))
        collection.live.checkpoint()
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (new_data, *new_data.rglob("*"))}
    assert any("index" in path.parts for path in modes)
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_link_in_place_of_the_lease_is_not_followed(new_data: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    new_data.mkdir(mode=0o700)
    (new_data / "lease").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        bootstrap.start(Settings(data=new_data, seeds=False))
    assert not target.exists()
