"""``hilmix hmix mixes`` as a user types it, up to a run that trains on what it wrote."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hilmix.cli import main
from hilmix.commands.hmix_policies import NAMES
from hilmix.data.folder import read_folder, write_folder
from hilmix.human.perception import ConfidenceSmoothing, Identity, ImageTable
from hilmix.human.study import label_judgments, label_mixes, mean_by_mix, rebuild_stimuli, write_released
from tests.commands.human import OWN, PAIRS, N, images, plan_study, words

pytestmark = pytest.mark.usefixtures("no_figures")

STUDY = plan_study()
FIRST = STUDY.without_repeats()


pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The study's folder, and those of its images without and with a split."""
    folder = tmp_path_factory.mktemp("mixes")
    write_released(STUDY, folder / "study")
    write_folder(images(STUDY), folder / "images")
    write_folder(images(STUDY, split=True), folder / "split")
    return folder


def mixes(mine, *options: str, data: str = "images", own: list[str] = OWN) -> int:
    return main(["hmix", "mixes", str(mine / "study"), "--data", str(mine / data), *own, *options])


def refused(mine, capsys, *options: str, **given) -> str:
    assert mixes(mine, *options, **given) == 2
    return words(capsys.readouterr().err)


def test_the_folder_holds_images_and_mixes(mine, capsys):
    assert mixes(mine, "--policy", "identity", "-o", "out", data="split") == 0
    found, data = read_folder("out"), images(STUDY, split=True)
    assert found.items == data.items + STUDY.stimuli.name
    assert found.split.tolist() == [*data.split, *["train"] * PAIRS]
    pixels = data.inputs.array
    np.testing.assert_array_equal(found.inputs.array, np.concatenate([pixels, rebuild_stimuli(STUDY, pixels)]))
    np.testing.assert_allclose(found.annotations.probs[-PAIRS:], label_mixes(STUDY, Identity()), atol=1e-6)
    out = words(capsys.readouterr().out)
    assert "45 mixes with 45 labels (identity) added to the 200 items of pictures: 135 train, 55 val, 55 test" in out
    assert "hilmix fit -c configs/method/soft.yaml --data.root out" in out


def test_smoothing_goes_by_how_sure_people_were_of_that_mix(mine):
    assert mixes(mine, "--policy", "image_table", "--smooth", "-o", "out") == 0
    expected = label_mixes(STUDY, ConfidenceSmoothing(ImageTable.fit(FIRST.to_judgments()), line=None))
    np.testing.assert_allclose(read_folder("out").annotations.probs[-PAIRS:], expected, atol=1e-6)


@pytest.mark.parametrize("smooth", [[], ["--smooth"]])
def test_each_answer_may_count_by_itself(mine, smooth, capsys):
    assert mixes(mine, "--policy", "answers", *smooth, "-o", "out") == 0
    found, labels = read_folder("out").annotations, label_judgments(FIRST, smoothed=bool(smooth))
    assert set(found.annotators) == {"x", "y", *STUDY.participants}
    order = np.argsort(FIRST.judgments.stimulus, kind="stable")
    np.testing.assert_allclose(found.probs[-3 * PAIRS :], labels[order], atol=1e-6)
    who = [found.annotators[a] for a in found.annotator[-3 * PAIRS :]]
    assert who == [STUDY.participants[p] for p in FIRST.judgments.participant[order]]
    assert "45 mixes with 135 labels" in words(capsys.readouterr().out)


def test_a_split_is_drawn_around_the_mixes(mine):
    drawn = ["--policy", "identity", "--test-fraction", "0.1", "--val-fraction", "0.05"]
    assert mixes(mine, *drawn, "-o", "one") == 0
    assert mixes(mine, *drawn, "-o", "same", "--seed", "0") == 0
    assert mixes(mine, *drawn, "-o", "other", "--seed", "1") == 0
    one, same, other = (read_folder(name).split for name in ("one", "same", "other"))
    assert [(one == name).sum() for name in ("test", "val")] == [20, 10]
    assert set(one[: 2 * PAIRS]) == {"train"}
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("fitted", [["--policy", "class_strengths"], ["--policy", "learned_statistics", "--smooth"]])
def test_a_policy_may_come_from_a_file(mine, fitted, capsys):
    looks = ["--data", str(mine / "images")] if "learned_statistics" in fitted else []
    assert main(["hmix", "fit", str(mine / "study"), *OWN, *fitted, *looks, "-o", "policy.json"]) == 0
    assert mixes(mine, "--policy", "policy.json", "-o", "from_file") == 0
    if "--smooth" in fitted:
        assert "would smooth twice" in refused(mine, capsys, "--policy", "policy.json", "--smooth", "-o", "out")
    else:
        assert mixes(mine, *fitted, "-o", "fitted_now") == 0
        one, two = (read_folder(name).annotations.probs for name in ("from_file", "fitted_now"))
        np.testing.assert_array_equal(one, two)


def test_the_policy_that_looks_is_fitted_here_too(mine):
    assert mixes(mine, "--policy", "learned_statistics", "-o", "out") == 0
    probs = read_folder("out").annotations.probs[-PAIRS:]
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-6)
    assert np.abs(probs - label_mixes(STUDY, Identity())).max() > 0.01


def test_bad_options_are_refused(mine, capsys, workplace):
    ask = ("--policy", "identity", "-o", "out")
    error = refused(mine, capsys, "--policy", "identty", "-o", "out")
    assert re.search(r"`--policy` .*answers.*'identty'", error)
    assert all(name in error for name in NAMES)
    assert "There is no data folder at" in refused(mine, capsys, *ask, data="none")
    error = refused(mine, capsys, *ask, own=[*OWN[:-1], "100"])
    assert "200 items; the ids of the study point into 100." in error
    assert "--seed is for data without a split" in refused(mine, capsys, *ask, "--seed", "1", data="split")
    assert "at most 110 of 200 items" in refused(mine, capsys, *ask, "--test-fraction", "0.5")
    (workplace / "policy.json").write_text("{}")
    assert "holds no perception policy" in refused(mine, capsys, "--policy", "policy.json", "-o", "out")
    (workplace / "out").mkdir()
    assert refused(mine, capsys, *ask).startswith("error: 'out' exists already")
    assert sorted(file.name for file in workplace.iterdir()) == ["out", "policy.json"]


def test_a_split_that_leaks_is_refused(mine, workplace, capsys):
    data = images(STUDY, split=True)
    split = data.split.copy()
    split[PAIRS + 7] = "test"
    write_folder(replace(data, split=split), "leaky")
    error = refused(mine, capsys, "--policy", "identity", "-o", "out", data=str(workplace / "leaky"))
    assert re.search("'mix-7.png' .*'i52'.*'test'", error)
    assert not (workplace / "out").exists()


def test_a_mix_that_was_only_ever_a_repeat_is_left_out(mine, workplace, capsys):
    table = (mine / "study" / "hmix_infer_mixing_factor.csv").read_text().splitlines()
    (workplace / "study").mkdir()
    lines = [line.replace("rate_mixture", "rerun_rate_mixture") if "mix-44.png" in line else line for line in table]
    (workplace / "study" / "hmix_infer_mixing_factor.csv").write_text("\n".join(lines))
    argv = ["hmix", "mixes", "study", "--data", str(mine / "images"), *OWN, "--smooth", "-o", "out", "--policy"]
    assert main([*argv, "logit"]) == 0
    assert len(read_folder("out")) == N + PAIRS - 1
    assert "mix-44.png" not in read_folder("out").items


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit):
        main(["hmix", "mixes", "--help"])
    assert "hilmix fit -c configs/method/soft.yaml --data.root data/relabelled" in capsys.readouterr().out


def test_training_runs_on_the_folder(mine, workplace):
    assert mixes(mine, "--policy", "image_table", "-o", "out") == 0
    quick = ["max_epochs=1", "limit_train_batches=2", "accelerator=cpu", "log_every_n_steps=1"]
    argv = ["fit", "-c", "configs/method/soft.yaml", "--data.root", "out", "--run_dir", "run"]
    assert main([*argv, *(f"--trainer.{setting}" for setting in quick)]) == 0
    assert (workplace / "run" / "checkpoints" / "last.ckpt").is_file()


def test_means_of_answers_are_those_of_the_judgments(mine):
    """By hand, past every helper."""
    assert mixes(mine, "--policy", "image_table", "-o", "out") == 0
    probs, judged_mixes = read_folder("out").annotations.probs[-PAIRS:], STUDY.judgments
    for mix in range(PAIRS):
        mean = judged_mixes.weight[(judged_mixes.stimulus == mix) & ~judged_mixes.repeat].mean()
        assert probs[mix, STUDY.stimuli.label1[mix]] == pytest.approx(mean, abs=1e-6)
    np.testing.assert_allclose(mean_by_mix(STUDY, label_judgments(STUDY)), probs, atol=1e-6)
