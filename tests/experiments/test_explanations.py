"""The study of explanations: one budget for all methods, choices by validation, masks as people give them, one run."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.explanations import settings, tables
from experiments.explanations.data import prepared, source
from experiments.explanations.masks import MaskCase, grown, shifted
from experiments.explanations.results import KEY, add_row, chosen, current, read
from experiments.explanations.settings import (
    DATA,
    FINAL_FILE,
    GRID,
    MASK_DATA,
    MASKS_FILE,
    SEARCH_FILE,
    mask_cases,
    mask_settings,
    parse,
    spell,
)
from experiments.explanations.train import Job, losses, run
from hilmix.errors import ConfigError
from hilmix.explanations import Explanation

CASES = sorted({case for data in MASK_DATA for case in mask_cases(data)})


def test_all_methods_have_the_same_budget() -> None:
    assert {len(set(grid)) for grid in GRID.values()} == {6}
    for method, grid in GRID.items():
        for setting in grid:
            assert spell(parse(setting)) == setting
            for part in losses(method, parse(setting)).get("explanations", []):
                Explanation.from_spec(part)


def test_a_sum_gives_each_part_its_own_settings() -> None:
    pgd, rrr = losses("pgd_ex+rrr", parse("radius=2 steps=3 weight=640"))["explanations"]
    assert pgd["init_args"] == {"radius": 2.0, "steps": 3}
    assert rrr["init_args"] == {"weight": 640.0}


@pytest.mark.parametrize("case", CASES)
def test_cases_of_masks_are_spelled_as_they_are_read(case: str) -> None:
    assert str(MaskCase.of(case)) == case


def test_explained_images_of_a_smaller_share_are_among_those_of_a_larger_one() -> None:
    rows = np.arange(100, 1100)
    small, large = (set(MaskCase(share=share).explained(rows)) for share in (0.05, 0.25))
    assert (len(small), len(large)) == (50, 250)
    assert small < large < set(rows)


def test_masks_move_and_grow() -> None:
    masks = torch.zeros(4, 1, 5, 5)
    masks[:, 0, 2, 2] = 1
    moved = shifted(masks, np.arange(4), 2)
    assert [tuple(np.argwhere(m[0].numpy())[0]) for m in moved] == [(4, 2), (0, 2), (2, 4), (2, 0)]
    assert shifted(masks, np.arange(4), 3).sum() == 0
    assert grown(masks, 1).sum((1, 2, 3)).tolist() == [9] * 4
    assert grown(masks, 0) is masks


def test_people_who_are_wrong_mark_the_other_half() -> None:
    data = source("decoy-digits")
    rows = np.flatnonzero(data.split == "train")
    right = data.masks.fetch(rows).float() / 255
    drawn = MaskCase(wrong=0.3).masks(data, rows).fetch(rows).float() / 255
    wrong = (drawn != right).flatten(1).any(1)
    assert wrong.float().mean() == pytest.approx(0.3, abs=0.04)
    torch.testing.assert_close(drawn[wrong], 1 - right[wrong])
    three = MaskCase(wrong=0.3, people=3).masks(data, rows)
    assert set(three.per_item[rows]) == {3}
    assert three.fetch(rows, "agreement").unique().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("case", CASES)
def test_masks_keep_their_range(case: str) -> None:
    masks = prepared("decoy-digits", MaskCase.of(case)).masks
    assert masks.fetch(np.arange(1797)).dtype == torch.uint8
    assert masks.fetch(np.arange(1797)).max() == 255


def test_validation_and_test_items_keep_their_masks() -> None:
    data = source("decoy-digits")
    rows = np.flatnonzero(data.split != "train")
    changed = prepared("decoy-digits", MaskCase(share=0.05, shift=4, dilate=2, wrong=0.5))
    assert torch.equal(changed.masks.fetch(rows), data.masks.fetch(rows))
    assert changed.masks.explained[data.split == "train"].mean() == pytest.approx(0.05, abs=0.001)


def test_few_masks_also_try_the_weight_over_their_share() -> None:
    assert mask_settings("share=0.05", "rrr", "weight=64") == ("weight=64", "weight=1280")
    assert mask_settings("share=0.05 repeat=20", "rrr", "weight=64") == ("weight=64",)
    assert mask_settings("shift=4", "rrr", "weight=64") == ("weight=64",)
    assert mask_settings("share=0.05", "pgd_ex", "radius=2 steps=3") == ("radius=2 steps=3",)


def searched(scores: dict[str, tuple[float, float]]) -> pd.DataFrame:
    rows = [("decoy-digits", "rrr", s, "exact", 100, worst, mean) for s, (worst, mean) in scores.items()]
    return pd.DataFrame(rows, columns=[*KEY, "best_val_worst_group_acc", "best_val_mean_group_acc"])


def test_settings_are_those_of_the_best_worst_group_on_validation() -> None:
    scores = dict.fromkeys(GRID["rrr"], (0.3, 0.5))
    first, second, third = GRID["rrr"][:3]
    scores |= {first: (0.4, 0.6), second: (0.4, 0.7), third: (0.39, 0.9), "weight=77": (1.0, 1.0)}
    search = searched(scores)
    assert chosen(search, "decoy-digits", "rrr") == second
    final = pd.DataFrame([("decoy-digits", "rrr", s, "exact", 0) for s in (first, second)], columns=KEY)
    assert current(final, search)["setting"].tolist() == [second]
    assert list(current(final[:0], search)) == KEY
    with pytest.raises(ConfigError, match=r"lacks .* of 'rrr' on decoy-digits; run `search --data decoy-digits`"):
        chosen(search[search["setting"] != first], "decoy-digits", "rrr")


@pytest.mark.parametrize("file", [SEARCH_FILE, FINAL_FILE, MASKS_FILE], ids=lambda file: file.stem)
def test_committed_rows_belong_to_the_study(file) -> None:
    rows = read(file)
    assert not rows.duplicated(KEY).any()
    assert set(rows["data"]) <= set(DATA)
    assert set(rows["method"]) <= set(GRID)
    assert rows.filter(regex="_acc$").apply(lambda v: v.between(0, 1)).all(axis=None)


def test_one_run_and_its_tables(tmp_path, monkeypatch) -> None:
    plan = DATA["decoy-digits"]._replace(epochs=2, validate_every=1, hidden=(16,))
    monkeypatch.setitem(DATA, "decoy-digits", plan)
    rows = []
    for masks in ("exact", "share=0.1 repeat=10"):
        rows.append(run(Job("decoy-digits", "pgd_ex+rrr", "radius=2 steps=3 weight=640", 0, masks)))
        add_row(tmp_path / "results.csv", rows[-1])
    row = rows[0]
    # 1,200 images in batches of 64, then 120 of them ten times: 2,280
    assert [r["cpu_seconds"] / r["ms_per_step"] * 1000 for r in rows] == pytest.approx([2 * 19, 2 * 36], abs=1)
    assert 0 <= row["test_worst_group_acc"] <= row["test_mean_group_acc"] <= 1
    assert row["best_val_worst_group_acc"] >= row["val_worst_group_acc"]
    assert row["best_epoch"] in (1, 2)
    again = read(tmp_path / "results.csv")
    assert again[KEY].to_numpy().tolist() == [[r[k] for k in KEY] for r in sorted(rows, key=lambda r: r["masks"])]
    assert "PGD-Ex + RRR" in tables.scores(again[:1], "decoy-digits")


def test_claims_are_judged_by_the_numbers() -> None:
    means = {"erm": 0.2, "avg_ex": 0.3, "rrr": 0.25, "pgd_ex": 0.7, "pgd_ex+rrr": 0.96}
    rows = pd.DataFrame(
        [("decoy-mnist", m, "", "exact", 0, v, v - 0.05) for m, v in means.items()],
        columns=[*KEY, "best_test_mean_group_acc", "best_test_worst_group_acc"],
    )
    lines = {line.split(" | ")[0].strip("| "): line for line in tables.claims(rows).splitlines()[2:]}
    assert "holds" in lines["ERM at most 35 % on average"]
    assert "holds" in lines["PGD-Ex + RRR at least 95 % on average"]
    assert "**fails**" in lines["PGD-Ex + RRR at least 92 % in the worst group"]
    assert "**fails**" in lines["Avg-Ex below RRR"]
    assert "holds" in lines["RRR below PGD-Ex + RRR"]
    assert "not run yet" in lines["RRR below IBP-Ex + RRR"]


def test_the_page_explains_every_name() -> None:
    page = tables.PAGE.read_text()
    assert [name for name in GRID if f"`{name}`" not in page] == []
    assert settings.SEARCH_SEED not in {seed for plan in DATA.values() for seed in plan.seeds}
