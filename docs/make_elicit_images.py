"""The pictures of elicit.md: pages of a study of drawn photos, in headless Chromium on a desktop and on a phone.

python -m docs.make_elicit_images
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from docs.draw_photos import draw_all
from hilmix.data.folder.class_folders import read_class_folders
from hilmix.human.elicit.design.build import OwnTexts, build_study
from hilmix.human.elicit.design.manifest import TASKS, Manifest
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.simulation.behaviour import Behaviour
from hilmix.human.elicit.simulation.participants import simulate
from tests.human.elicit.serve.browser import ANSWERS, Person, Server, launched
from tests.human.elicit.studies import STATUS_TOKEN

OUT = Path(__file__).parent / "images"
DESKTOP, PHONE = (1024, 780), (360, 780)
TALL = 1150
GAP, COLOURS = 20, 128


def main() -> None:
    """Draws photos, builds studies of them, and writes ``docs/images/elicit-*.png``."""
    with tempfile.TemporaryDirectory() as temporary, launched() as browser:
        folder = Path(temporary)
        draw_all(folder / "photos")
        data = read_class_folders(folder / "photos").data
        design = Design(tasks=TASKS, pairs=12, per_batch=12, practice=1, judgments=1)
        tasks = build_study(data, folder / "tasks" / "photos", design, own=OwnTexts(completion_code="C0FFEE-42"))
        _during(Server(folder / "tasks" / "photos"), lambda server: _sessions(browser, server, tasks))
        design = Design(tasks=("infer", "vote"), pairs=24, per_batch=12, judgments=2)
        watched = build_study(data, folder / "watched" / "photos", design)
        _during(Server(folder / "watched" / "photos"), lambda server: _status(browser, server, watched))


def _during(server: Server, use: Callable[[Server], None]) -> None:
    try:
        use(server)
    finally:
        server.stop()


def _sessions(browser: Browser, server: Server, study: Manifest) -> None:
    """One person for each task, as batches are given out in their order; the last one goes on to the end."""
    for batch in study.batches:
        person = _person(browser, DESKTOP)
        rights = [check.right for check in study.checks[batch.task]]
        person.page.goto(server.link)
        if batch is study.batches[0]:
            _before(browser, person, rights)
        else:
            person.consent()
            person.instructions()
            person.check(rights)
        person.start()
        person.answer(batch.task)  # practice
        person.start()
        person.answer(batch.task)
        _pair(browser, person, batch.task, lambda who: _answer(who, study))
    person.answer_all(study.batches[-1].task)
    _pair(browser, person, "survey", lambda who: who.at("survey"))


def _answer(person: Person, study: Manifest) -> None:
    """Answers the trial at hand as a participant who sees it."""
    number = int(person.trial().removeprefix("trial-"))
    trial = next(one for batch in study.batches for one in batch.trials if one.id == number)
    shown, page = study.stimuli[trial.stimulus], person.page
    labels = (shown.label1, shown.label2) if (shown.weight or 0) >= 0.5 else (shown.label2, shown.label1)
    first, second = (study.dataset.classes[label] for label in labels)
    if shown.task == "construct":
        for _ in range(4):
            person.button("More" if trial.start == 0.1 else "Less").click()
    elif shown.task == "categorical":
        page.get_by_role("radiogroup", name="1. Most").get_by_label(first).check()
        page.locator("#top_percent").fill("60")
        page.get_by_role("radiogroup", name="2. Second").get_by_label(second).check()
        page.locator("#second_percent").fill("30")
        page.get_by_role("group", name="3. Impossible").get_by_role("checkbox", disabled=False).first.check()
    elif shown.task == "vote":
        page.get_by_label(first).check()
        person.slide("confidence", 0.7)
    else:
        ANSWERS[shown.task](person)


def _before(browser: Browser, person: Person, rights: list[int]) -> None:
    _pair(browser, person, "consent", lambda who: (who.at("consent"), who.page.get_by_role("checkbox").first.check()))
    person.page.get_by_role("checkbox").first.uncheck()
    person.consent()
    person.instructions()
    _pair(browser, person, "check", lambda who: who.at("check"))
    person.check(rights)


def _status(browser: Browser, server: Server, study: Manifest) -> None:
    behaviours = [Behaviour(name) for name in ("fails-catch", "untouched", "logit", "logit", "logit")]
    simulate(server.link, study, participants=7, behaviours=behaviours)
    for steps in range(2):  # two people at work
        person = _person(browser, DESKTOP)
        person.page.goto(server.link)
        person.consent()
        if steps:
            person.instructions()
    person = _person(browser, (DESKTOP[0], TALL))
    person.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
    _pair(browser, person, "status", lambda who: who.page.get_by_role("table").first.wait_for(), height=TALL)


def _person(browser: Browser, size: tuple[int, int], **device: bool) -> Person:
    viewport = {"width": size[0], "height": size[1]}
    return Person(browser.new_context(viewport=viewport, reduced_motion="reduce", **device).new_page())


def _pair(
    browser: Browser, person: Person, name: str, prepare: Callable[[Person], object], *, height: int = PHONE[1]
) -> None:
    """Writes the page of a participant on a desktop, and the same page opened on a phone."""
    other = _person(browser, (PHONE[0], height), is_mobile=True, has_touch=True)
    other.page.goto(person.page.url)
    prepare(person)
    prepare(other)
    _write([_shot(person), _shot(other)], name)
    other.page.close()


def _shot(person: Person) -> Image.Image:
    person.page.mouse.move(0, 0)
    person.page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        person.page.screenshot(path=file.name)
        return Image.open(file.name).convert("RGB")


def _write(shots: list[Image.Image], name: str) -> None:
    width = sum(shot.width for shot in shots) + GAP * (len(shots) + 1)
    sheet = Image.new("RGB", (width, shots[0].height + 2 * GAP), (196, 203, 211))
    left = GAP
    for shot in shots:
        sheet.paste(shot, (left, GAP))
        left += shot.width + GAP
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(OUT / f"elicit-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
