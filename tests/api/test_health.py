from __future__ import annotations

import json
import logging
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from embeddings.library import Check, Library
from service.api.app import create_app
from service.bootstrap import Engine
from service.logs import JsonLines
from service.settings import Settings
from tests.api.conftest import Api, calling


def test_the_service_tells_that_it_lives_and_how_its_parts_are(api: Api) -> None:
    assert api.json("GET", "/health/live") == {"live": True}
    state = api.json("GET", "/health/ready")
    assert state["ready"] is True
    assert set(state["checks"]) == {"store", "index", "encoder", "reader", "disk"}
    assert re.fullmatch(r"1 collection|(?!1 )\d+ collections", state["checks"]["store"]["detail"])


class UnwellLibrary:
    def __init__(self, library: Library) -> None:
        self.seq = library.seq

    def checks(self) -> dict[str, Check]:
        return {"disk": Check(ok=False, detail="1 MB free")}


def test_a_part_that_is_not_well_answers_503(settings: Settings, engine: Engine) -> None:
    unwell = replace(engine, library=UnwellLibrary(engine.library))  # type: ignore[arg-type]
    with calling(create_app(settings, engine=unwell)) as api:
        state = api.json("GET", "/health/ready", status=503)
    assert state["ready"] is False
    assert state["checks"]["disk"] == {"ok": False, "detail": "1 MB free"}


def test_metrics_count_requests_by_route_and_questions_by_stage(api: Api, lighthouse: str) -> None:
    api.json("POST", "/v1/ask", json={"question": "Who built it?", "collection": lighthouse})
    families = {family.name: family for family in text_string_to_metric_families(api("GET", "/metrics").text)}
    routes = {sample.labels["route"] for sample in families["loccit_requests"].samples}
    assert "/v1/ask" in routes
    assert "/v1/collections/{collection}/documents/{document_id}" in routes
    assert not [route for route in routes if lighthouse in route]
    stages = {sample.labels["stage"] for sample in families["loccit_stage_seconds"].samples}
    assert {"search", "read", "total"} <= stages
    assert families["loccit_collections"].samples[0].value >= 1


def test_metrics_tell_what_an_operator_watches(api: Api, lighthouse: str) -> None:
    api("GET", f"/v1/collections/{lighthouse}/documents/absent")
    api("GET", "/v1/collections", headers={"Host": "evil.example"})
    text = api("GET", "/metrics").text
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["loccit_rejections_total", "unknown-document"] >= 1
    assert samples["loccit_rejections_total", "foreign-host"] >= 1
    assert samples["loccit_queued", "lookups"] == 1  # the scrape itself
    assert (
        samples[
            "loccit_queued",
            "jobs",
        ]
        == 0
    )
    assert samples["loccit_tail_passages",] >= 1
    assert 0 <= samples["loccit_dead_ratio",] < 1
    assert samples["loccit_disk_free_bytes",] > 0
    assert samples["loccit_unwell", "store"] == samples["loccit_unwell", "disk"] == 0
    assert ("loccit_loop_lag_seconds_count",) in samples
    assert len(samples) < 2000


def test_logs_are_json_with_the_request_id_and_without_the_question(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        api("POST", "/v1/search", json={"question": "A secret question?"}, headers={"X-Request-Id": "call-7"})
    record = next(record for record in caplog.records if record.name == "loccit.requests")
    written = json.loads(JsonLines().format(record))
    assert (written["event"], written["method"], written["route"]) == ("answered", "POST", "/v1/search")
    assert "secret" not in caplog.text
