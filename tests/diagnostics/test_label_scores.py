"""Label-error scores by name and from other packages; every one of hilmix against its closed form."""

import sys

import numpy as np
import pytest

from hilmix.callbacks import LabelErrors
from hilmix.diagnostics import LABEL_SCORES, LabelEvidence, LabelScore, find_score, label_table
from hilmix.diagnostics.label_scores import find_scores
from hilmix.errors import ConfigError
from tests.diagnostics.passes import toy_pass

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
POSTERIOR = np.array([[0.1, 0.9, 0.0], [0.0, 0.0, 1.0], [0.5, 0.25, 0.25]], dtype=np.float32)
EVIDENCE = LabelEvidence(PROBS, np.array([0, 1, 2]), POSTERIOR)
CLOSED_FORMS = {
    "posterior": [0.1, 0.0, 0.25],
    "self_confidence": [0.7, 0.1, 0.4],
    "margin": [(0.7 - 0.2 + 1) / 2, (0.1 - 0.8 + 1) / 2, (0.4 - 0.3 + 1) / 2],
}


@pytest.mark.parametrize("name", LABEL_SCORES)
def test_scores_by_hand(name: str) -> None:
    score = find_score(name)
    assert (score.name, bool(score.summary)) == (name, True)
    found = score.of(EVIDENCE)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, CLOSED_FORMS[name], rtol=1e-6)


@pytest.mark.parametrize("name", LABEL_SCORES)
def test_a_right_label_scores_higher_than_a_wrong_one(name: str) -> None:
    sure = np.array([[0.9, 0.1], [0.9, 0.1]])
    right, wrong = find_score(name).of(LabelEvidence(sure, np.array([0, 1]), sure))
    assert right > wrong


@pytest.mark.parametrize("name", LABEL_SCORES)
def test_no_labels_have_no_scores(name: str) -> None:
    none = np.empty((0, 3))
    assert find_score(name).of(LabelEvidence(none, np.empty(0, dtype=np.int64), none)).shape == (0,)


def test_without_an_annotator_model_the_posterior_is_unknown() -> None:
    assert np.isnan(find_score("posterior").of(EVIDENCE._replace(posterior=None))).all()


@pytest.mark.parametrize(
    ("values", "found"), [([0.1, 0.2], r"\(3,\).*\(2,\)"), ([0.1, -1.5, 0.2], r"-1\.5"), ([0.1, np.inf, 0.2], "inf")]
)
def test_what_is_no_score_of_every_label_is_refused(values: list[float], found: str) -> None:
    broken = LabelScore("broken", "", lambda evidence: np.array(values))
    with pytest.raises(ConfigError, match=f"broken.*{found}"):
        broken.of(EVIDENCE)


@pytest.mark.parametrize("name", ["label", "target", "two words", ""])
def test_a_name_that_is_no_column_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"`name`.*identifier.*'{name}'"):
        LabelScore(name, "", lambda evidence: evidence.label)


def test_the_first_known_score_ranks() -> None:
    data, result = toy_pass()
    by_margin = label_table(data, result, find_scores(["margin", "posterior"]))
    assert list(by_margin.scores) == ["margin", "posterior"]
    assert by_margin.table["margin"].is_monotonic_increasing
    assert not by_margin.table["posterior"].is_monotonic_increasing
    assert "self_confidence" not in by_margin.table
    data, result = toy_pass(face_value=True)
    assert list(label_table(data, result).scores) == ["self_confidence", "margin"]


def test_a_ranking_by_what_is_unknown_is_refused() -> None:
    data, result = toy_pass(face_value=True)
    with pytest.raises(ConfigError, match=r"`scores`.*posterior.*self_confidence"):
        label_table(data, result, find_scores(["posterior"]))


@pytest.mark.parametrize("names", [[], ["margin", "margin"]])
def test_scores_have_different_names(names: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"`scores`.*different names"):
        LabelErrors(scores=names)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("entropy", "posterior.*package.module:NAME.*entropy"),
        ("mine:GONE", "GONE"),
        ("gone:SCORE", "gone"),
        ("mine:NUMBER", "LabelScore.*int"),
        ("margin:", "margin:"),
    ],
)
def test_what_is_no_score_is_refused(name: str, found: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text("NUMBER = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(ConfigError, match=found):
        LabelErrors(scores=[name])
