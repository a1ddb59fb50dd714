from __future__ import annotations

from typing import Any

from tests.api.conftest import TEXT, Api
from tests.api.test_refusals import problem

QUESTION = "In what year was Harwick Lighthouse built?"


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("id", "timings_ms")}


def test_a_search_gives_ranked_passages_whose_text_stands_at_its_place(api: Api, lighthouse: str) -> None:
    found = api.json("POST", "/v1/search", json={"question": QUESTION, "collection": lighthouse, "explain": True})
    assert [passage["rank"] for passage in found["passages"]] == list(range(1, len(found["passages"]) + 1))
    for passage in found["passages"]:
        assert TEXT[passage["start"] : passage["end"]] == passage["text"]
        assert set(passage["scores"]) == {"similarity", "bm25", "fused", "reader"}
    assert found["explain"]


def test_a_passage_can_be_fetched_by_its_id(api: Api, lighthouse: str) -> None:
    body = {"question": QUESTION, "collection": lighthouse}
    found = api.json("POST", "/v1/search", json=body)["passages"][0]
    fetched = api.json("GET", f"/v1/collections/{lighthouse}/passages/{found['passage_id']}")
    assert fetched == {name: value for name, value in found.items() if name not in ("rank", "scores")}


def test_an_answer_cites_what_stands_in_the_document(api: Api, lighthouse: str) -> None:
    answer = api.json("POST", "/v1/ask", json={"question": QUESTION, "collection": lighthouse, "min_confidence": 0})
    assert answer["answered"]
    assert answer["models"]["llm"] is None
    for citation in answer["citations"]:
        assert TEXT[citation["start"] : citation["end"]] == citation["quote"]
        assert api("GET", citation["url"]).text == citation["quote"]


def test_an_abstention_says_why(api: Api, lighthouse: str) -> None:
    body = {"question": QUESTION, "collection": lighthouse, "filter": {"colour": {"eq": "red"}}}
    assert api.json("POST", "/v1/ask", json=body)["no_answer_reason"] == "filtered_out"
    certain = {"question": QUESTION, "collection": lighthouse, "min_confidence": 1}
    answer = api.json("POST", "/v1/ask", json=certain)
    assert (answer["answered"], answer["answer"], answer["claims"]) == (False, None, [])
    assert answer["passages"]


def test_what_was_said_before_completes_the_question(api: Api, lighthouse: str) -> None:
    history = [{"question": "How tall is Harwick Lighthouse?", "answer": "41 metres"}]
    body = {"question": "Who built it?", "collection": lighthouse, "history": history}
    answer = api.json("POST", "/v1/ask", json=body)
    assert answer["question"] == "Who built it?"
    assert "Harwick" in answer["question_used"]


def test_what_was_not_answered_can_stand_in_the_history(api: Api, lighthouse: str) -> None:
    history = [{"question": "How heavy is Harwick Lighthouse?", "answer": None}]
    body = {"question": "Who built it?", "collection": lighthouse, "history": history}
    assert api.json("POST", "/v1/ask", json=body)["question_used"] == "Who built it? (Harwick Lighthouse)"


def test_a_misspelt_word_is_mended_and_the_answer_says_what_was_asked(api: Api, lighthouse: str) -> None:
    body = {"question": "Which enigneer built the lighthuose?", "collection": lighthouse, "min_confidence": 0}
    answer = api.json("POST", "/v1/ask", json=body)
    assert answer["question"] == body["question"]
    assert answer["question_used"] == "Which engineer built the lighthouse?"
    plain = api.json("POST", "/v1/ask", json={**body, "question": answer["question_used"]})
    assert [settled(one)["citations"] for one in (answer, plain)] == [plain["citations"]] * 2


def test_a_batch_answers_in_order_as_each_alone_with_problems_in_place(api: Api, lighthouse: str) -> None:
    good = {"question": QUESTION, "collection": lighthouse, "min_confidence": 0}
    requests = [good, {**good, "collection": "no-such-one"}, {**good, "top_k": 1}, {**good, "mode": "generative"}]
    first, missing, third, unbuilt = api.json("POST", "/v1/ask/batch", json={"requests": requests})["responses"]
    assert settled(first) == settled(api.json("POST", "/v1/ask", json=good))
    assert settled(third) == settled(api.json("POST", "/v1/ask", json=requests[2]))
    assert (missing["status"], unbuilt["status"]) == (404, 501)
    assert missing["type"].endswith("/docs/problems/unknown-collection")
    assert missing["errors"][0]["pointer"] == "/collection"
    assert "errors" not in unbuilt
    assert first["id"] != third["id"]


def test_several_searches_answer_in_order(api: Api, lighthouse: str) -> None:
    requests = [{"question": question, "collection": lighthouse} for question in (QUESTION, "How tall is the tower?")]
    found = api.json("POST", "/v1/search/batch", json={"requests": requests})["responses"]
    assert [one["question"] for one in found] == [one["question"] for one in requests]


def test_a_question_waits_for_the_sequence_number_that_a_write_gave(api: Api, lighthouse: str) -> None:
    path = f"/v1/collections/{lighthouse}/documents/b"
    seq = api.json("PUT", path, status=201, json={"text": "A twite feeds."})["seq"]
    body = {"question": "Who feeds?", "collection": lighthouse, "min_seq": seq}
    assert api.json("POST", "/v1/search", json=body)["seq"] >= seq
    ahead = problem(api("POST", "/v1/ask", json={**body, "min_seq": seq + 1000}), 409)
    assert ahead["errors"][0]["pointer"] == "/min_seq"


def test_a_collection_that_is_not_there_is_named_by_its_field(api: Api) -> None:
    for path in ("/v1/ask", "/v1/search"):
        missing = problem(api("POST", path, json={"question": QUESTION, "collection": "no-such-one"}), 404)
        assert missing["errors"][0]["pointer"] == "/collection"
