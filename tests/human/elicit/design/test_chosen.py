from pathlib import Path

import numpy as np
import pytest

from hilmix.errors import DataError
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.chosen import ChosenMixes, read_chosen, write_chosen
from hilmix.human.elicit.design.items import find_usable_labels
from hilmix.human.elicit.design.pairs import Pairs
from hilmix.human.elicit.design.settings import Design
from tests.human.elicit.study_data import N, pictures

LABEL = np.arange(N) % 3


def test_what_is_written_is_read(tmp_path: Path):
    chosen = ChosenMixes(Pairs(np.array([3, 8]), np.array([1, 0])), np.array([0.1, 0.9]))
    write_chosen(tmp_path / "next.csv", chosen, [2.0, 1.0], pictures(), LABEL)
    assert (tmp_path / "next.csv").read_text().splitlines() == [
        "item1,class1,item2,class2,weight,score",
        "i3,ant,i1,bee,0.1,2.0",
        "i8,cow,i0,ant,0.9,1.0",
    ]
    again = read_chosen(tmp_path / "next.csv", pictures(), LABEL)
    assert [rows.tolist() for rows in again.pairs] == [[3, 8], [1, 0]]
    assert again.weight.tolist() == [0.1, 0.9]
    with pytest.raises(DataError, match=r"Cannot write .*next.csv"):
        write_chosen(tmp_path / "none" / "next.csv", chosen, [2.0, 1.0], pictures(), LABEL)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["i0,x,0.5"], "line 2: item2 .*data 'pictures', got 'x'"),
        (["i0,i1,0.5", "?,i1,0.5"], r"line 3: item1 .*got '\?'"),
        (["i0,i3,0.5"], "line 2: item2 .*class.*got 'i3'"),
        (["i0,i40,0.5"], "line 2: item2 .*training split, got 'i40'"),
        (["i0,i1,0.5", "i1,i0,0.1"], "line 3: item2 .*earlier row, got 'i0'"),
        (["i0,i1,1"], "line 2: weight .*between 0 and 1, got '1'"),
        (["i0,i1,half"], "line 2: weight .*got 'half'"),
        ([], "at least 1 row, got 0"),
    ],
)
def test_a_row_that_cannot_be_shown_is_named(tmp_path: Path, rows, message):
    data = pictures(split=True)
    (tmp_path / "next.csv").write_text("\n".join(["item1,item2,weight", *rows]))
    with pytest.raises(DataError, match=message):
        read_chosen(tmp_path / "next.csv", data, find_usable_labels(data))


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(DataError, match=r"Cannot read .*Make it with hilmix elicit next"):
        read_chosen(tmp_path / "next.csv", pictures(), LABEL)
    (tmp_path / "next.csv").write_text("item1,weight\ni0,0.5\n")
    with pytest.raises(DataError, match=r"lacks the column\(s\) \['item2'\]; found"):
        read_chosen(tmp_path / "next.csv", pictures(), LABEL)


@pytest.mark.parametrize("task", ["infer", "vote"])
def test_a_study_shows_exactly_these_mixes(tmp_path: Path, task):
    first, second = np.array([0, 4, 8, 9]), np.array([1, 3, 0, 10])
    weight = np.array([0.1, 0.33, 0.5, 0.9])
    study = build_study(
        pictures(),
        tmp_path / "s",
        Design(tasks=(task,), pairs=4, per_batch=2),
        chosen=ChosenMixes(Pairs(first, second), weight),
    )
    shown = {kind: [] for kind in ("main", "practice", "catch", "repeat")}
    for batch in study.batches:
        for trial in batch.trials:
            shown[trial.kind].append(study.stimuli[trial.stimulus])
    main = {(one.id1, one.id2, one.weight) for one in shown["main"]}
    assert main == set(zip(first.tolist(), second.tolist(), weight.tolist(), strict=True))
    assert len(shown["main"]) == 4
    others = {row for kind in ("practice", "catch") for one in shown[kind] for row in (one.id1, one.id2)}
    assert len(others) == 8
    assert not others & {*first.tolist(), *second.tolist()}
    assert {one.weight for one in shown["catch"]} == {0, 1}
