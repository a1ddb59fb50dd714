"""The page in a real browser over a real service."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service import bootstrap
from service.api.app import create_app
from service.settings import Settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium on this machine"),
]

PAYLOAD = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
TEXT = (
    "🐦🐦 Harwick Lighthouse stands on the northern cliff of Tolsey Island. Harwick Lighthouse was built in 1874 by the"
    f" engineer Edda Thornquist. The tower is 41 metres tall. {PAYLOAD}"
)


class Server(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    def install_signal_handlers(self) -> None:
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data=tmp_path_factory.mktemp("data"), seeds=True, free_disk_floor_bytes=0)
    engine = bootstrap.start(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(create_app(settings, engine=engine), log_config=None, access_log=False))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    put(f"{url}/v1/collections/birds", {"title": PAYLOAD})
    put(f"{url}/v1/collections/birds/documents/harwick.txt", {"text": TEXT, "title": PAYLOAD})
    yield url
    server.should_exit = True
    thread.join()
    listening.close()
    engine.close()


def put(url: str, body: object) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")
    with urllib.request.urlopen(request) as response:
        assert response.status in (200, 201)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.goto(url)
    page.wait_for_selector("#examples button")
    yield page
    assert page.title() != "broken in"
    assert not [one for one in complaints if "status of 4" not in one]
    context.close()


def ask(page: Any, question: str) -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")
    page.wait_for_selector("#result .asked, #result .failed")


def test_a_misspelt_question_is_shown_as_it_was_understood(page: Any) -> None:
    ask(page, "In what year was Harwick Lighthouse bulit?")
    assert page.inner_text("#result .asked") == "Understood as: In what year was Harwick Lighthouse built?"


def test_an_example_is_answered_with_quotes_that_open_in_their_source(page: Any) -> None:
    page.click("#examples button >> nth=0")
    page.wait_for_selector(".citation")
    quote = page.inner_text(".citations .citation >> nth=0 >> q")
    page.click(".citations .citation >> nth=0")
    page.wait_for_selector("#source .quote")
    assert page.inner_text("#source .quote").split() == quote.split()
    assert len(page.inner_text("#source-text")) > len(quote)
    page.keyboard.press("Escape")
    assert not page.is_visible("#source")


def test_marks_stand_right_behind_characters_outside_the_basic_plane(page: Any) -> None:
    page.select_option("#collection", "birds")
    page.wait_for_selector("#size:text-is('1 document')")
    ask(page, "In what year was Harwick Lighthouse built?")
    page.wait_for_selector(".citation")
    assert "1874" in page.inner_text(".citations mark >> nth=0")
    page.click(".citations .citation >> nth=0")
    page.wait_for_selector("#source mark")
    assert page.inner_text("#source mark") == page.text_content(".citations mark >> nth=0")


def test_markup_in_titles_texts_and_questions_is_shown_as_text(page: Any) -> None:
    page.select_option("#collection", "birds")
    ask(page, f"How tall is the tower? {PAYLOAD}")
    assert PAYLOAD in page.inner_text("#result .asked")
    assert PAYLOAD in page.inner_text("#result .place >> nth=0")
    page.click(".citation >> nth=0")
    page.wait_for_selector("#source-text:has-text('onerror')")
    assert page.locator("main img, dialog img, main script, dialog script").count() == 0
    page.keyboard.press("Escape")
    page.click("#show-documents")
    page.wait_for_selector("#document-list button")
    assert PAYLOAD in page.inner_text("#document-list")


def test_a_question_without_an_answer_is_met_kindly(page: Any) -> None:
    ask(page, "What is the melting point of tungsten in the kingdom of Zorblax?")
    shown = page.inner_text("#result")
    assert "I don’t know." in shown
    assert page.locator("#result .passages .citation").count() > 0


def test_a_file_is_added_and_answers_at_once(page: Any) -> None:
    page.click("#show-documents")
    content = b"# Quillon\n\nThe Quillon tram line has 17 stops."
    page.set_input_files("#files", {"name": "Quillon tram.md", "mimeType": "text/markdown", "buffer": content})
    page.wait_for_selector("#uploads li:has-text('searchable')")
    page.wait_for_selector("#document-list :text('Quillon-tram.md-')")
    page.set_input_files("#files", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"\0\0"})
    page.wait_for_selector("#uploads .failed")
    page.keyboard.press("Escape")
    ask(page, "How many stops has the Quillon tram line?")
    page.wait_for_selector("#result .citation:has-text('17 stops')")


def test_a_document_is_deleted_once_that_is_said_twice(page: Any, url: str) -> None:
    document = {"text": "The Brindle ferry has 23 seats.", "title": PAYLOAD}
    put(f"{url}/v1/collections/default/documents/brindle", document)
    page.click("#show-documents")
    item = page.locator("#document-list li", has_text="brindle")
    item.get_by_text("Delete", exact=True).click()
    page.locator("#document-list .open").first.focus()
    item.get_by_text("Delete", exact=True).click()
    item.get_by_text("Really delete?").click()
    item.wait_for(state="detached")
    page.keyboard.press("Escape")
    ask(page, "How many seats has the Brindle ferry?")
    page.wait_for_selector("#result :text('I don’t know.')")


def test_the_documentation_lists_every_call(page: Any, url: str) -> None:
    page.goto(f"{url}/docs")
    page.wait_for_selector(".call")
    assert page.locator(".call").count() > 20
    page.click(".call:has-text('/v1/ask') >> nth=0")
    assert "Edda Thornquist" in page.inner_text(".call[open]")


def test_the_widget_answers_on_a_page_of_the_same_origin(page: Any, url: str) -> None:
    host = '<!doctype html><title>Host</title><script src="/widget.js" data-collection="birds"></script>'
    page.route(f"{url}/host", lambda route: route.fulfill(body=host, content_type="text/html"))
    page.goto(f"{url}/host")
    page.fill(".loccit input", "In what year was Harwick Lighthouse bulit?")
    page.click(".loccit button")
    page.wait_for_selector(".loccit blockquote")
    assert "1874" in page.inner_text(".loccit mark")
    assert page.inner_text(".loccit .asked") == "Understood as: In what year was Harwick Lighthouse built?"


def test_the_page_asks_for_the_key_where_one_is_needed(browser: Any, url: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/v1/**", lambda route: answer_for_the_key(route, "the-right-key"))
    page.goto(url)
    page.fill("#key-value", "the-right-key")
    page.keyboard.press("Enter")
    page.wait_for_selector("#examples button")
    context.close()


def answer_for_the_key(route: Any, key: str) -> None:
    if route.request.headers.get("authorization") == f"Bearer {key}":
        route.continue_()
    else:
        route.fulfill(status=401, body="{}", content_type="application/problem+json")


def test_the_page_is_usable_on_a_narrow_screen(browser: Any, url: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme="dark")
    narrow = context.new_page()
    narrow.goto(url)
    narrow.click("#examples button >> nth=0")
    narrow.wait_for_selector(".citation")
    assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
