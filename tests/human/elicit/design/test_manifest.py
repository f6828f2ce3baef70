import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hilmix.errors import DataError
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.manifest import Manifest, find_statements, hash_manifest, read_manifest, write_manifest
from hilmix.human.elicit.design.settings import Design, draw_trial_ids
from tests.human.elicit.study_data import pictures

DESIGN = Design(tasks=("infer", "construct"), pairs=4, per_batch=2, practice=1, catch=1, repeats=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches of infer (stimuli 0 to 5), two of construct (6 to 11), one practice, one catch, one repeat each."""
    folder = tmp_path_factory.mktemp("studies") / "mine"
    build_study(pictures(), folder, DESIGN)
    return folder


@pytest.fixture(scope="module")
def study(folder) -> Manifest:
    return read_manifest(folder)


def test_what_is_written_is_read_back(study, tmp_path):
    file = write_manifest(study, tmp_path)
    assert file == tmp_path / "study.json"
    assert read_manifest(tmp_path) == study
    assert hash_manifest(tmp_path) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_numbers_survive_exactly(study, tmp_path):
    weight = 0.1 + 0.2
    changed = study.stimuli[0].model_copy(update={"weight": weight})
    write_manifest(study.model_copy(update={"stimuli": (changed, *study.stimuli[1:])}), tmp_path)
    assert read_manifest(tmp_path).stimuli[0].weight == weight


def test_a_manifest_is_immutable(study):
    with pytest.raises(ValidationError, match="frozen"):
        study.seed = 1


def test_tasks_and_statements(study):
    assert study.tasks == ("construct", "infer")
    assert len(study.statements) == 3
    assert "- [ ]" not in study.consent_text
    assert study.consent_text.startswith("# Taking part")
    assert find_statements("a\n- [ ] one\n  - [ ] inside\n* [ ] two  \n- [x] done\n") == ("one", "two  ")


def test_right_answers(study):
    infer, construct = study.stimuli[0], study.stimuli[6]
    for weight, label in ((0.0, infer.label2), (1.0, infer.label1)):
        pure = infer.model_copy(update={"weight": weight})
        assert (pure.right_weight, pure.right_label) == (weight, label)
    assert (infer.right_weight, infer.right_label) == (None, None)
    assert (construct.right_weight, construct.right_label) == (None, None)
    assert study.stimuli[11].right_weight == 0.5


NULL = object()
TAKEN = draw_trial_ids(DESIGN)[0]
FIRST, LAST = ("batches", 0, "trials", 0), ("batches", 0, "trials", 4)
WRONG = [
    (("format",), "mine", "format must be 'hilmix elicit'"),
    (("version",), 2, "version must be 1"),
    (("seed",), None, "seed is missing"),
    (("seed",), "0", "seed must be a valid integer"),
    (("name",), "", "name must have at least 1 character"),
    (("colour",), "red", "colour is not a field of a study; remove it"),
    (("wording",), "second", "wording must be 'third' or 'first'"),
    (("settings", "target_judgments"), 0, "settings.target_judgments must be greater than or equal to 1"),
    (("settings", "lease_minutes"), float("nan"), "settings.lease_minutes must be a finite number"),
    (("settings", "keep_platform_id"), "yes", "settings.keep_platform_id must be 'no' or 'hash'"),
    (("consent",), "Please.", "consent has no statement to agree to; write at least one as a line '- [ ] I agree"),
    (("instructions", "infer"), None, "instructions.infer is missing or empty; there are batches of this task"),
    (("checks", "construct"), [], "checks.construct is missing or empty"),
    (("checks", "infer", 0, "right"), 7, "checks.infer[0]: right must be in [0, 2], got 7"),
    (("dataset", "classes"), ["a", "a", "b"], "dataset: classes must be different names, got ['a', 'a', 'b']"),
    (("dataset", "num_items"), 1, "id1 must be in [0, 0]"),
    (("dataset", "sha256"), "abc", "dataset.sha256 must match pattern"),
    (("stimuli", 1, "id"), 5, "stimuli[1].id must be 1, its place in the list, got 5"),
    (("stimuli", 1, "label1"), 9, "stimuli[1].label1 must be in [0, 2], got 9"),
    (("stimuli", 1, "weight"), 1.5, "stimuli[1].weight must be less than or equal to 1"),
    (("stimuli", 1, "weight"), NULL, "stimuli[1]: task infer requires weight, and null for weights"),
    (("stimuli", 6, "weight"), 0.5, "stimuli[6]: task construct requires weights, and null for weight"),
    (("stimuli", 1, "images"), ["../../etc/passwd"], "stimuli[1].images[0] must match"),
    (("stimuli", 1, "sha256"), [], "stimuli[1]: sha256 must have 1 entries, one per weight, got 0"),
    (("stimuli", 6, "weights", 3), 0.9, "weights must be different numbers in increasing order"),
    ((*FIRST, "stimulus"), 99, "batches[0].trials[0].stimulus must be in [0, 11], got 99"),
    (
        (*FIRST, "stimulus"),
        6,
        "batches[0].trials[0].stimulus must be of task infer, as the batch is, got one of task construct",
    ),
    ((*FIRST, "kind"), "repeat", "batches[0].trials[0].of must be a main trial of the batch"),
    ((*FIRST, "kind"), "catch", "batches[0].trials[0].kind is catch, but stimulus 4 has no known answer"),
    (
        (*FIRST, "start"),
        0.5,
        "batches[0].trials[0].start must be a number in task construct, null in the others, got 0.5",
    ),
    ((*FIRST, "of"), 1, "batches[0].trials[0].of must be null, as only repeats have it, got 1"),
    (
        ("batches", 0, "trials", 1, "id"),
        TAKEN,
        f"batches[0].trials[1].id must differ from those of earlier trials, got {TAKEN}",
    ),
    (("batches", 0, "trials", 1, "kind"), "practice", None),
    (("batches", 0, "trials", 2, "kind"), "practice", "trials[2].kind is practice after main; practice first"),
    ((*LAST, "of"), 3, "batches[0].trials[4].of must be a main trial of the batch with the same stimulus, got 3"),
    (("batches", 2, "trials", 0, "start"), 0.33, "batches[2].trials[0].start must be one of the weights"),
    (("batches", 1, "id"), 3, "batches[1].id must be 1, its place in the list, got 3"),
    (("batches",), [], "batches must have at least 1 item"),
]


@pytest.mark.parametrize(("path", "to", "message"), WRONG, ids=lambda v: v[:40] if isinstance(v, str) else None)
def test_a_wrong_edit_is_one_error_with_file_and_field(study, tmp_path, path, to, message):
    content = json.loads(study.model_dump_json())
    target = content
    for part in path[:-1]:
        target = target[part]
    if to is None:
        del target[path[-1]]
    else:
        target[path[-1]] = None if to is NULL else to
    (tmp_path / "study.json").write_text(json.dumps(content))
    if message is None:
        read_manifest(tmp_path)
        return
    with pytest.raises(DataError) as raised:
        read_manifest(tmp_path)
    text = str(raised.value)
    assert text.startswith(f"{tmp_path / 'study.json'}: ")
    assert message in text
    assert "\n" not in text


def test_no_study_and_no_json(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*study.json: No such file.* hilmix elicit build"):
        read_manifest(tmp_path)
    (tmp_path / "study.json").write_text('{"format": ')
    with pytest.raises(DataError, match=r"study.json: it is not valid JSON: EOF while parsing"):
        read_manifest(tmp_path)
