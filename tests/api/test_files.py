from __future__ import annotations

from urllib.parse import quote

from tests.api.conftest import Api
from tests.files import docx, lines, pdf

PDF = "application/pdf"


def test_a_citation_of_a_pdf_carries_its_page(api: Api, collection: str) -> None:
    content = pdf(
        lines(72, 700, "Harwick Lighthouse was built in 1874 by Edda Thornquist."),
        lines(72, 700, "The keeper of Harwick Lighthouse is Jonas Fell."),
    )
    place = f"/v1/collections/{collection}/documents/harwick.pdf"
    receipt = api.json("PUT", f"{place}?title=Harwick", status=201, content=content, headers={"content-type": PDF})
    assert receipt["warnings"] == []
    answer = api.json(
        "POST", "/v1/ask", json={"question": "Who is the keeper of Harwick Lighthouse?", "collection": collection}
    )
    [citation] = answer["citations"]
    assert (answer["answer"], citation["page"]) == ("Jonas Fell", 2)
    assert citation["page_url"] == f"{place}/original?version=1#page=2"
    described = api.json("GET", place)
    assert (described["pages"], described["media_type"], described["title"]) == (2, PDF, "Harwick")
    assert api("GET", f"{place}/original").content == content


def test_a_page_is_linked_where_the_document_came_from(api: Api, collection: str) -> None:
    place = f"/v1/collections/{collection}/documents/harwick.pdf?uri=https://harwick.example/history.pdf%23top"
    content = pdf(lines(72, 700, "Harwick Lighthouse was built in 1874 by Edda Thornquist."))
    api.json("PUT", place, status=201, content=content, headers={"content-type": PDF})
    answer = api.json("POST", "/v1/ask", json={"question": "Who built Harwick Lighthouse?", "collection": collection})
    assert answer["citations"][0]["page_url"] == "https://harwick.example/history.pdf#page=1"


def test_a_documents_own_properties_fill_in_what_its_sender_leaves_out(api: Api, collection: str) -> None:
    place = f"/v1/collections/{collection}/documents/survey"
    headers = {"content-type": "application/octet-stream", "x-loccit-metadata": '{"author": "Somebody else"}'}
    api.json("PUT", place, status=201, content=docx(), headers=headers)
    described = api.json("GET", place)
    assert described["title"] == "Bridge survey"
    assert described["metadata"]["author"] == "Somebody else"
    assert described["metadata"]["created_at"].startswith("2024-03-01")
    assert described["media_type"].endswith("wordprocessingml.document")
    filter = quote('{"author": {"eq": "Somebody else"}}')
    listed = api.json("GET", f"/v1/collections/{collection}/documents?filter={filter}")
    assert [one["document_id"] for one in listed["items"]] == ["survey"]


def test_a_damaged_file_is_refused_and_nothing_is_stored(api: Api, collection: str) -> None:
    place = f"/v1/collections/{collection}/documents/broken.pdf"
    problem = api.json("PUT", place, status=422, content=b"%PDF-1.7 cut", headers={"content-type": PDF})
    assert "damaged or cut off" in problem["detail"]
    assert api("GET", place).status_code == 404
