"""What participants are given to read: the page in its language, an example, feedback, and help with wrong links."""

import json
import re
from pathlib import Path

import pytest

from hilmix.human.elicit.serve.page import render_page
from tests.human.elicit.conftest import Served
from tests.human.elicit.studies import LINK, answer_all, at_trials, joined, make_study, post, submission

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def german(tmp_path: Path, serve) -> Served:
    """A study in German with all optional texts, of one batch and one judgment."""
    folder = make_study(tmp_path / "study", batches=1, target_judgments=1, practice_feedback=True)
    study = json.loads((folder / "study.json").read_text())
    name, digest = "0123456789abcdef.png", "0" * 64
    (folder / "images" / name).write_bytes((folder / "images" / study["stimuli"][0]["images"][0]).read_bytes())
    study |= {
        "language": "de",
        "words": {"start": "</script><b>Los!</b>"},
        "contact": "Ada <ada@example.org>",
        "minutes": 7,
        "pay": "3 €",
        "completion_url": "https://example.org/done?cc=1",
        "examples": {"infer": {"image": name, "sha256": digest, "text": "So **geht** es. <script>"}},
    }
    (folder / "study.json").write_text(json.dumps(study))
    return serve(folder)


def words_in(page: str) -> dict[str, str]:
    return json.loads(re.search(r'<script id="words" type="application/json">(.*?)</script>', page)[1])


def test_the_page_is_in_the_language_of_the_study_and_nothing_in_it_becomes_markup(german):
    page = german.client.get(joined(german.client).removeprefix("/api")).text
    assert '<html lang="de" dir="ltr">' in page
    assert "Zurücktreten und meine Antworten löschen" in page
    words = words_in(page)
    assert (words["start"], words["continue"]) == ("</script><b>Los!</b>", "Weiter")
    assert "</script><b>" not in page
    assert "Vorschau" not in page.replace(words["preview"], "")


def test_a_right_to_left_language_turns_the_page(tmp_path):
    from hilmix.human.elicit.design.manifest import read_manifest
    from hilmix.human.elicit.design.words import read_language, take_page_words

    study = read_manifest(make_study(tmp_path / "s"))
    arabic = study.model_copy(update={"language": "ar", "words": take_page_words(read_language("en"))})
    assert '<html lang="ar" dir="rtl">' in render_page(arabic, preview=False)


def test_facts_are_shown_with_the_consent_and_no_picture_before_it(german):
    client, me = german.client, joined(german.client)
    state = client.get(me).json()
    shown = {name: state["study"][name] for name in ("contact", "minutes", "pay", "example")}
    assert shown == {"contact": "Ada <ada@example.org>", "minutes": 7, "pay": "3 €", "example": None}
    pictures = [file.name for file in (german.folder / "images").iterdir()]
    assert {client.get(f"{me}/images/{name}").status_code for name in pictures} == {404}
    state = post(client, f"{me}/consent", {"accepted": True})
    example = state["study"]["example"]
    assert "<strong>geht</strong>" in example["text"]
    assert "<script>" not in example["text"]
    assert client.get(example["image"]).status_code == 200


def test_practice_answers_get_feedback_and_others_do_not(german):
    client = german.client
    me, state = at_trials(client)
    first = post(client, f"{me}/answers", submission(state))
    # The picture is half class 1 and half class 3.
    assert first["feedback"]["text"] == "Dieses Bild wurde aus 50 % dog und 50 % horse gemischt."
    assert client.get(first["feedback"]["image"]).status_code == 200
    again = post(client, f"{me}/answers", submission(first["state"]))
    assert again["feedback"] is None


def test_feedback_is_given_only_where_the_study_says_so(served):
    me, state = at_trials(served.client)
    assert post(served.client, f"{me}/answers", submission(state))["feedback"] is None


def test_the_end_has_the_code_and_the_way_back(german):
    client = german.client
    me, state = at_trials(client)
    assert (state["completion_code"], state["completion_url"]) == (None, None)
    answer_all(client, me, state)
    survey = {"clarity": None, "difficulty": None, "strategy": "", "comments": ""}
    state = post(client, f"{me}/survey", survey)
    assert (state["completion_code"], state["completion_url"]) == ("C0DE", "https://example.org/done?cc=1")


@pytest.mark.parametrize("address", ["/join/wrong", "/join/<b>", "/nothing/here", "/p", "/status/wrong"])
def test_a_wrong_link_opens_a_page_in_the_language_of_the_study(german, address):
    reply = german.client.get(address, headers=BROWSER)
    assert reply.status_code == 404
    assert reply.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in reply.headers["content-security-policy"]
    assert '<html lang="de"' in reply.text
    assert "Dieser Link funktioniert nicht" in reply.text
    assert "Ada &lt;ada@example.org&gt;" in reply.text
    assert "<b>" not in reply.text
    assert list(german.client.get(address).json()) == ["error"]  # for programs as before


def test_a_full_study_shows_so_before_the_consent(german):
    client = german.client
    late = joined(client)
    assert client.get(late).json()["phase"] == "consent"
    at_trials(client)
    state = client.get(late).json()
    assert (state["phase"], state["study"]["consent"]) == ("full", None)
    assert post(client, f"{late}/batch", {"wanted": True})["phase"] == "full"
    german.clock.now += 24 * 3600  # the lease ends, and the pictures are free again
    assert post(client, f"{late}/batch", {"wanted": True})["phase"] == "consent"
    assert post(client, f"{late}/consent", {"accepted": True})["phase"] == "instructions"


def test_who_has_joined_before_reads_so(tmp_path, serve):
    served = serve(make_study(tmp_path / "s", keep_platform_id="hash"))
    served.client.get(LINK, params={"PROLIFIC_PID": "a"}, follow_redirects=False)
    served.client.cookies.clear()
    reply = served.client.get(LINK, params={"PROLIFIC_PID": "a"}, headers=BROWSER, follow_redirects=False)
    assert reply.status_code == 409
    assert "You have joined before" in reply.text
