"""The page in headless Chromium: nothing is requested, axe finds nothing, nothing is wider than the window."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilmix.report import build_report
from tests.report.test_report import train

pytest.importorskip("playwright", reason="needs playwright (pip install 'hilmix[dev]')")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python (pip install 'hilmix[dev]')")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (on Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(train(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"])
        yield browser
        browser.close()


def open_page(browser: Browser, report: Path, width: int, scheme: str = "light") -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: requests.append(str(error)))
    page.goto(report.as_uri())
    return page, [url for url in requests if not url.startswith("data:")]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_and_the_window_is_wide_enough(browser, report, width, scheme):
    page, requests = open_page(browser, report, width, scheme)
    assert requests == [report.as_uri()]
    for one in page.locator("details > summary").all():
        one.click()
    # axe itself is no script of the page, which forbids others
    found = Axe().run(page)
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_suspects_are_filtered_and_sorted(browser, report):
    page, _ = open_page(browser, report, 1280)
    rows = page.locator("#suspect-list tbody > tr:visible")
    everything = rows.count()
    label = page.locator("select[name=label] option").nth(1).get_attribute("value")
    page.select_option("select[name=label]", label)
    shown = rows.evaluate_all("rows => rows.map((row) => row.dataset.label)")
    assert 0 < len(shown) < everything
    assert set(shown) == {label}
    page.select_option("select[name=label]", "")
    page.select_option("select[name=sort]", "annotator")
    names = rows.evaluate_all("rows => rows.map((row) => row.dataset.annotator)")
    assert names == sorted(names, key=lambda name: int(name.rpartition("-")[2]))
    page.fill("input[name=text]", names[0])
    assert set(rows.evaluate_all("rows => rows.map((row) => row.dataset.annotator)")) == {names[0]}
    page.close()
