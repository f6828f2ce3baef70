"""Tables of judged mixes: look-ups, averages, shrinkage, what is refused."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.strengths import shrunk_means
from hilmix.human.perception import GlobalCurve, Identity, ImageTable, Mixes, ParticipantCurves, to_mixes
from tests.human.perception.simulated import judged

CAT, DOG = torch.eye(2, dtype=torch.float64)


def mix(id1, id2, weight, *, dtype=torch.float64):
    ids = torch.tensor([id1]), torch.tensor([id2])
    return Mixes(CAT[None].to(dtype), DOG[None].to(dtype), torch.tensor([weight], dtype=dtype), *ids)


def test_mixes_are_found_in_either_order_and_any_precision():
    table = ImageTable([9, 3], [3, 5], [0.1, 1 / 3], [0.25, 0.75], [0.5, 1.0])
    for dtype in (torch.float32, torch.float64):
        assert table(mix(9, 3, 0.1, dtype=dtype)).tolist() == [[0.25, 0.75]]
        assert table(mix(3, 9, 0.9, dtype=dtype)).tolist() == [[0.75, 0.25]]
        assert table(mix(5, 3, 2 / 3, dtype=dtype)).tolist() == [[0.25, 0.75]]
        assert table.confidence(mix(5, 3, 2 / 3, dtype=dtype)).tolist() == [1.0]


@pytest.mark.parametrize(
    "shown",
    [
        (9, 3, 0.9),
        (9, 4, 0.1),
        (9, 9, 0.1),
        (-1, 3, 0.1),
        (-1, -1, 0.1),
        (2**21 + 9, 3, 0.1),
        (9, 3, 0.10001),
        (0, 0, 0),
    ],
)
def test_others_are_refused_or_left_to_the_fallback(shown):
    columns = [9, 3], [3, 5], [0.1, 1 / 3], [0.25, 0.75]
    with pytest.raises(DataError, match=rf"row 0: .*images {shown[0]} and {shown[1]} "):
        ImageTable(*columns)(mix(*shown))
    table = ImageTable(*columns, fallback=Identity())
    torch.testing.assert_close(table(mix(*shown)), Identity()(mix(*shown)), rtol=0, atol=0)


def test_the_largest_ids_do_not_run_into_each_other():
    top = 2**21 - 1
    table = ImageTable([top, top, 0], [top - 1, 0, 0], [0.5, 1.0, 0.0], [0.1, 0.2, 0.3], fallback=Identity())
    assert table(mix(top - 1, top, 0.5))[0, 1].item() == pytest.approx(0.1)
    assert table(mix(0, top, 0.0))[0, 1].item() == pytest.approx(0.2)
    assert table(mix(0, 0, 0.0))[0, 0].item() == pytest.approx(0.3)


def test_means_by_hand():
    judgments = judged(pairs=3)
    judgments = judgments._replace(
        answer=np.array([0.1, 0.2, 0.6, 0.0, 0.5, 1.0, 0.3, 0.3, 0.3]),
        confidence=np.array([1.0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0, 0.2, 0.3]),
    )
    turned = judgments.swap_images(np.arange(9) % 2 == 0)
    for given in (judgments, turned):
        np.testing.assert_allclose(ImageTable.fit(given).predict(judgments)[::3], [0.3, 0.5, 0.3], atol=1e-7)
        weighted = ImageTable.fit(given, average="confidence").predict(judgments)
        np.testing.assert_allclose(weighted[::3], [0.25, 0.5, 0.3], atol=1e-7)  # all confidences 0: plain mean
        sure = ImageTable.fit(given).confidence(to_mixes(judgments))
        np.testing.assert_allclose(sure[::3], [2 / 3, 0.0, 0.5], atol=1e-7)


def test_shrunk_means_lie_between_the_fallback_and_the_mean():
    judgments, base = judged(pairs=200), GlobalCurve()
    raw, shrunk = (
        ImageTable.fit(judgments).predict(judgments),
        ImageTable.fit(judgments, average="shrunk", fallback=base).predict(judgments),
    )
    expected = base.predict(judgments)
    trust = (shrunk - expected) / (raw - expected)
    np.testing.assert_allclose(trust, trust[0], atol=1e-4)  # all were judged three times
    assert 0 <= trust[0] < 1
    oracle = shrunk_means(judgments.answer - expected, np.repeat(np.arange(200), 3), num_groups=200)
    own, centre = oracle.mean[0], oracle.centre
    assert trust[0] == pytest.approx((oracle.shrunk[0] - centre) / (own - centre), abs=1e-4)


def test_very_many_judgments_leave_the_mean_alone():
    rng = np.random.default_rng(0)
    judgments = judged(pairs=30, per_pair=2000)
    judgments = judgments._replace(answer=np.clip(judgments.answer + np.repeat(rng.normal(size=30) * 0.2, 2000), 0, 1))
    raw, shrunk = (
        ImageTable.fit(judgments, average=a, fallback=Identity()).predict(judgments) for a in ("mean", "shrunk")
    )
    np.testing.assert_allclose(shrunk, raw, atol=1e-3)


def test_confidence_of_the_fallback_is_asked_for_others():
    certain = ImageTable([1], [2], [0.5], [0.5], [0.25])
    table = ImageTable([9], [3], [0.1], [0.25], [0.5], fallback=certain)
    assert table.confidence(mix(1, 2, 0.5)).tolist() == [0.25]
    with pytest.raises(ConfigError, match=r"ImageTable.*confidence"):
        ImageTable([9], [3], [0.1], [0.25]).confidence(mix(9, 3, 0.1))


def test_the_people_of_the_fallback_are_known():
    fallback = ParticipantCurves(["ann"], [2.0], 1.0)
    assert ImageTable([9], [3], [0.1], [0.25], fallback=fallback).participants == ("ann",)
    assert ImageTable([9], [3], [0.1], [0.25]).participants == ()


def test_unstated_confidence_is_no_confidence():
    judgments = judged()
    judgments.confidence[5] = np.nan
    assert ImageTable.fit(judgments).spec()["init_args"]["sure"] is None
    with pytest.raises(DataError, match="confidence, row 5: not stated"):
        ImageTable.fit(judgments, average="confidence")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1], [2], [1.5], [0.5]), "weight, row 0: .*got 1.5"),
        (([1], [2], [0.5], [float("nan")]), r"seen\[0\]` must be a finite number, got nan"),
        (([1, -1], [2, 2], [0.5, 0.5], [0.5, 0.5]), "id1, row 1: .*got -1"),
        (([1], [2**21], [0.5], [0.5]), r"id2.*row 0: .*got 2.09715e\+06"),
        (([1], [2], [0.5], [0.5], [2.0]), "sure, row 0: .*got 2"),
        (([1, 2], [2], [0.5], [0.5]), "id1 must have 1 entries, as weight has, got 2"),
        (([1, 2], [2, 1], [0.3, 0.7], [0.5, 0.5]), "the table is empty or has a mix twice"),
        (([], [], [], []), "the table is empty or has a mix twice"),
    ],
)
def test_bad_tables_are_refused(columns, message):
    with pytest.raises(ConfigError, match=message):
        ImageTable(*columns)


def test_bad_calls_are_refused():
    with pytest.raises(ConfigError, match="these mixes come without id1 and id2"):
        ImageTable([1], [2], [0.5], [0.5])(mix(1, 2, 0.5)._replace(id1=None))
    with pytest.raises(ConfigError, match=r"average.*median"):
        ImageTable.fit(judged(), average="median")
    with pytest.raises(ConfigError, match=r"average.*fallback.*shrunk"):
        ImageTable.fit(judged(), average="shrunk")
    with pytest.raises(ConfigError, match=r"id2.*row 0: .*got"):
        ImageTable.fit(judged()._replace(id2=np.full(900, 2**21)))
