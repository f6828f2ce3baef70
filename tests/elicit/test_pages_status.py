"""The page on which a researcher follows a study, in headless Chromium."""

from tests.elicit.browser import NEEDS_CHROMIUM, RIGHT, SIZES, check_access
from tests.elicit.studies import STATUS_TOKEN

pytestmark = NEEDS_CHROMIUM


def test_the_researcher_sees_numbers(host, person):
    server, somebody = host("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.answer_all("infer")
    for size in SIZES:
        watching = person(**SIZES[size])
        watching.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
        watching.page.locator("table").first.wait_for()
        check_access(watching)
        said = watching.page.locator("main").inner_text()
        assert "16 % (1 of 6)" in said  # one main trial of two batches, three judgments wanted
        assert "4 of 5" not in said
        assert "5 of 5" in said
        assert not watching.problems
