"""The words of a study: complete in every language, with the placeholders of English, and refused otherwise."""

import json
import re
from pathlib import Path

import pytest
import yaml

import hilmix.human.elicit
from hilmix.errors import DataError
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.design.words import LANGUAGES, find_direction, read_words
from tests.human.elicit.studies import make_study

HERE = Path(hilmix.human.elicit.__file__).parent
FILES = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in (HERE / "words").glob("*.yaml")}
PAGES = {file.name: file.read_text(encoding="utf-8") for file in (HERE / "serve" / "pages").iterdir()}


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(.+?)\}", text)))


def test_every_language_has_a_file():
    assert sorted(FILES) == sorted(LANGUAGES) == ["de", "en", "es", "fr", "ja"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_is_there_in_every_language_with_the_same_placeholders(language):
    found, english = FILES[language], FILES["en"]
    assert list(found) == list(english)
    assert {key: placeholders(text) for key, text in found.items()} == {
        key: placeholders(text) for key, text in english.items()
    }
    assert all(text.strip() for text in found.values())


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_nothing_is_left_in_english(language):
    same = [key for key, text in FILES[language].items() if text == FILES["en"][key]]
    # Numbers and signs, and words that the languages share.
    assert set(same) <= {"share", "facts_contact", "certain"}


def test_the_pages_say_words_that_exist_and_no_others():
    scripts = "".join(text for name, text in PAGES.items() if name.endswith(".js") and name != "status.js")
    html = "".join(PAGES[name] for name in ("index.html", "message.html"))
    shown = set(re.findall(r"say\(\"([a-z_]+)\"", scripts)) | set(re.findall(r"\{\{(\w+)\}\}", html))
    assert shown <= set(FILES["en"])
    quoted = set(re.findall(r"\"([a-z_.]+)\"", scripts)) | shown
    built = {key for key in FILES["en"] if key.startswith(("text.", "check.", "example.", "question.", "impossible."))}
    pages = {"unknown_title", "unknown_text", "joined_title", "joined_text", "wait_title", "wait_text"}
    server = {"feedback_mix", "feedback_midpoint", "feedback_label", "preview"}
    assert set(FILES["en"]) - quoted - built - pages - server == set()


def test_a_file_of_messages_is_refused_with_all_its_faults(tmp_path):
    words = dict(FILES["en"]) | {"share": "{one} {three}", "more_words": "no", "start": " "}
    del words["continue"]
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(words))
    with pytest.raises(DataError) as refused:
        read_words(file)
    for part in ("4 faults", "continue is missing", "more_words is unknown", "start must be", "{three}"):
        assert part in str(refused.value)
    file.write_text("- a list")
    with pytest.raises(DataError, match="keys and texts"):
        read_words(file)
    with pytest.raises(DataError, match="Cannot read"):
        read_words(tmp_path / "none.yaml")
    file.write_text("x" * (256 * 1024 + 1))
    with pytest.raises(DataError, match="256 kB"):
        read_words(file)


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        ("en", "ltr"),
        ("ja", "ltr"),
        ("ar", "rtl"),
        ("he-IL", "rtl"),
        ("ku-Arab", "rtl"),
        ("fa", "rtl"),
        ("pt-BR", "ltr"),
    ],
)
def test_direction_of_languages(language, direction):
    assert find_direction(language) == direction


def edited(tmp_path: Path, **changes: object) -> Path:
    folder = make_study(tmp_path / "s")
    study = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(study | changes))
    return folder


def test_a_study_has_the_shipped_words_and_its_own(tmp_path):
    study = read_manifest(edited(tmp_path, language="de", words={"start": "Los!"}))
    assert (study.page_words["start"], study.page_words["continue"]) == ("Los!", FILES["de"]["continue"])
    assert not any(key.startswith("text.") for key in study.page_words)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"words": {"shart": "?"}}, "shart is unknown"),
        ({"words": {"share": "{one}"}}, "share must have the placeholders"),
        ({"language": "tlh"}, "words.skip is missing"),
        ({"language": "../en"}, "language"),
        ({"completion_url": "javascript:alert(1)"}, "completion_url"),
        ({"minutes": 0}, "minutes"),
    ],
)
def test_wrong_words_of_a_study_are_refused(tmp_path, changes, part):
    with pytest.raises(DataError, match=re.escape(part)):
        read_manifest(edited(tmp_path, **changes))


def test_a_study_of_before_languages_loads(tmp_path):
    folder = make_study(tmp_path / "s")
    study = json.loads((folder / "study.json").read_text())
    for name in ("language", "words", "contact", "minutes", "pay", "completion_url", "examples"):
        del study[name]
    del study["settings"]["practice_feedback"]
    (folder / "study.json").write_text(json.dumps(study))
    found = read_manifest(folder)
    assert (found.language, found.direction, found.settings.practice_feedback) == ("en", "ltr", False)
    assert found.page_words["continue"] == "Continue"
