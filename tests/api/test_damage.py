"""A service over a damaged store: what is damaged says so, and everything else serves."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from embeddings.corpus import database
from embeddings.corpus.database import Database
from service import bootstrap
from service.api.app import create_app
from service.settings import Settings
from tests.api.conftest import TEXT, Api, calling


@pytest.fixture
def stored(new_data: Path) -> Settings:
    """Two collections with a document each."""
    settings = Settings(data=new_data, seeds=False, free_disk_floor_bytes=0)
    with closing(bootstrap.start(settings)) as engine, calling(create_app(settings, engine=engine)) as api:
        api.json("PUT", "/v1/collections/notes", status=201)
        for collection in ("default", "notes"):
            api.json("PUT", f"/v1/collections/{collection}/documents/harwick", status=201, json={"text": TEXT})
    return settings


def damage_table(settings: Settings, collection: str, table: str) -> None:
    with closing(apsw.Connection(str(settings.data / "system.db"))) as registry:
        folder = registry.execute("SELECT folder FROM collections WHERE name = ?", (collection,)).get
    path = settings.data / "collections" / folder / "collection.db"
    with closing(apsw.Connection(str(path))) as connection:
        page, size = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get, 4096
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def requires_only_default_to_be_damaged(api: Api) -> None:
    question = {"question": "How tall is the tower?"}
    assert "41" in api.json("POST", "/v1/ask", json={**question, "collection": "notes"})["answer"]
    assert api.json("POST", "/v1/ask", status=503, json=question)["type"].endswith("store-corrupt")
    assert api.json("GET", "/health/ready", status=503)["checks"]["store"]["detail"] == "quarantined: default"


@pytest.mark.parametrize("table", ["documents", "jobs"])
def test_a_damaged_default_collection_does_not_keep_the_service_from_starting(stored: Settings, table: str) -> None:
    damage_table(stored, "default", table)
    for seeds in (False, True):
        settings = stored.model_copy(update={"seeds": seeds})
        with closing(bootstrap.start(settings)) as engine, calling(create_app(settings, engine=engine)) as api:
            requires_only_default_to_be_damaged(api)


def test_jobs_of_a_collection_that_is_not_checked_yet_are_left_where_they_cannot_be_read(
    stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKED_AT_ONCE_BYTES", 0)
    monkeypatch.setattr(Database, "check", lambda *_: None)
    damage_table(stored, "default", "jobs")
    with closing(bootstrap.start(stored)) as engine:
        assert engine.jobs.unfinished == 0
        assert "41" in engine.library.collection("notes").text("harwick").text
