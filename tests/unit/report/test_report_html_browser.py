"""`report.html` in a real browser: it says nothing on the console, asks nobody for anything, and filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.report.page import write_page
from assay.store.folder import FolderStore
from support.browser import CHROMIUM, DRIVER, chromium
from support.html_runs import SAID, pictured, run_folder

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()),
    reason=f"no {CHROMIUM} and {DRIVER} here (Debian: chromium, chromium-driver)",
)
SAMPLES = 20_000
COUNT = "return document.getElementById('count').textContent"
LOADED = "[...document.images].every((image) => image.complete)"
DOWN, ENTER = "\ue015", "\ue007"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    store = FolderStore(root / "cache")
    prepared = pictured(store, root / "new", SAMPLES, pictures=70)
    return write_page(run_folder(root / "a run", SAMPLES, prepared), store)


@pytest.fixture(scope="module")
def browser():
    with chromium("--window-size=1400,1000") as started:
        yield started


@pytest.fixture
def page(browser, file):
    browser.requests()
    browser.console()
    browser.open(file)
    return browser


def click(page, selector):
    page.run("document.querySelector(arguments[0]).click()", selector)


def select(page, name, value):
    page.run(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))",
        name,
        value,
    )


def search(page, text):
    page.run(
        "const q = document.getElementById('query'); q.value = arguments[0];"
        "q.dispatchEvent(new Event('input'))",
        text,
    )
    page.wait(f"document.getElementById('grid').dataset.query === {text.lower()!r}")
    return page.run(COUNT)


def file_of(page):
    return Path(page.run("return decodeURIComponent(location.pathname)"))


def detail(page):
    return page.run("return document.getElementById('detail').textContent")


def test_nothing_is_said_on_the_console_and_no_request_leaves(page, file):
    for verdict in "wru":
        click(page, f"[data-verdict={verdict}]")
    page.wait(LOADED)
    first, *others = page.requests()
    assert first == file.as_uri()
    assert others
    beside = (file.parent / "report.pictures").as_uri()
    assert all(address.startswith(f"{beside}/") for address in others)
    assert page.console() == []


def test_20_000_samples_are_small_and_open_within_two_seconds(page, file):
    assert file.stat().st_size < 30_000_000
    assert 0 < page.seconds_to_open(file) < 2


def test_only_the_rows_in_sight_are_drawn(page):
    drawn = "return document.querySelectorAll('#canvas .line').length"
    assert 10 < page.run(drawn) < 60
    page.run("document.getElementById('viewport').scrollTop = 52 * 15000")
    page.wait("document.getElementById('sample-15000')")
    assert 10 < page.run(drawn) < 60


def test_samples_are_filtered_by_verdict_category_reason_and_text(page):
    assert page.run(COUNT) == "20,000 samples"
    click(page, "[data-verdict=w]")
    assert page.run(COUNT) == "6,400 of 20,000 samples"
    select(page, "category", "3")
    assert page.run(COUNT) == "1,600 of 20,000 samples"
    click(page, "[data-verdict=u]")
    select(page, "category", "")
    select(page, "reason", "1")
    assert page.run(COUNT) == "200 of 20,000 samples"
    select(page, "reason", "")
    click(page, "[data-verdict='']")
    assert search(page, "SHOWS 1234 ") == "1 of 20,000 samples"
    assert "The answer is C" in detail(page)
    assert search(page, "no such thing") == "0 of 20,000 samples"


def test_a_category_leads_to_its_samples_of_that_task(page):
    click(page, "button.bar[data-task='1'][data-category='2']")
    assert page.run(COUNT) == "5,000 of 20,000 samples"
    assert "logic <b>&" in detail(page)
    assert page.run("return document.getElementById('task').value") == "1"


def test_the_list_is_walked_with_the_keyboard(page):
    page.run("document.getElementById('viewport').focus()")
    page.keys(DOWN, DOWN, "j")
    active = "return document.activeElement.getAttribute('aria-activedescendant')"
    assert page.run(active) == "sample-3"
    assert "3 things" in detail(page)
    page.keys("/", "3", "9", "9", "9", ENTER)
    page.wait("document.getElementById('count').textContent.includes(' of ')")
    assert page.run("return document.getElementById('query').value") == "3999"


def test_each_sample_shows_its_picture_in_the_list_and_in_its_prompt(page):
    page.wait(LOADED)
    sizes = (
        "return [...document.querySelectorAll(arguments[0])].map((i) => i.naturalWidth)"
    )
    assert page.run(sizes, "#canvas .thumb img")[:6] == [96, 120, 144, 168, 192, 96]
    search(page, "picture 1234?")
    page.wait(LOADED)
    assert page.run(sizes, "#detail img") == [96 + 1234 % 70 % 5 * 24]
    click(page, "#detail .frame")
    assert page.run("return document.getElementById('large').open")
    click(page, "#large")
    assert not page.run("return document.getElementById('large').open")


def test_a_picture_that_was_taken_away_is_said_to_be_gone(page, tmp_path):
    alone = tmp_path / "report.html"
    alone.write_bytes(file_of(page).read_bytes())
    page.open(alone)
    page.wait("document.querySelector('#detail .gone')")
    assert "picture: its file is gone" in detail(page)


def test_hostile_text_is_shown_and_does_nothing(page):
    shown = []
    for name in ("onerror", "desrever", "{{ 7*7 }}"):
        search(page, name)
        shown.append(detail(page))
    assert "</script><img src=x onerror=alert(1)>" in shown[0]
    assert "U+202Edesrever" in shown[1]
    assert "U+0000" in shown[1]
    assert "{{ 7*7 }} ${7*7} &lt;b&gt;" in shown[2]
    assert page.run("return document.scripts.length") == 4
    sources = page.run("return [...document.images].map((i) => i.getAttribute('src'))")
    assert all(source.startswith("report.pictures/") for source in sources)
    assert page.console() == []


def test_a_sample_without_an_answer_shows_what_was_said_as_text(page):
    search(page, "it is overloaded")
    assert f"Failure{SAID}" in detail(page)
    assert page.console() == []


def test_a_script_that_got_in_would_not_run(page):
    page.run(
        "const s = document.createElement('script'); s.append('window.ran = 1');"
        "document.body.append(s)"
    )
    assert page.run("return window.ran ?? null") is None
    assert "will not be executed" in page.console()[-1]


def test_a_picture_that_got_in_would_not_be_fetched(page):
    page.run("new Image().src = 'http://127.0.0.1:9/seen.png'")
    assert any("Content Security Policy" in line for line in page.console())
