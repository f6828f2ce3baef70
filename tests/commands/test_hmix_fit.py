"""``hilmix hmix fit`` as a user types it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from hilmix.cli import main
from hilmix.commands.hmix_policies import NAMES
from hilmix.data.folder import write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.perception import POLICIES, ConfidenceSmoothing, LearnedPerception, Mixes, Perception, cross_validate
from hilmix.human.study import MixStudy, read_study, write_released
from tests.commands.human import CLASSES, OWN, N, images, plan_study, words
from tests.human.study.synthetic import infer_row

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture(scope="module")
def study() -> MixStudy:
    return plan_study()


@pytest.fixture(scope="module")
def mine(study, tmp_path_factory):
    """The study's folder, and that of its images."""
    folder = tmp_path_factory.mktemp("fit")
    write_released(study, folder / "study")
    write_folder(images(study), folder / "images")
    return folder


def fit(mine, *options: str) -> int:
    return main(["hmix", "fit", str(mine / "study"), *OWN, *options])


def refused(argv: list[str], capsys) -> str:
    assert main(["hmix", "fit", *argv]) == 2
    return words(capsys.readouterr().err)


def some_mixes() -> Mixes:
    hot, ids = torch.eye(len(CLASSES)), torch.arange(4)
    return Mixes(hot[[0, 1, 2, 0]], hot[[1, 2, 0, 2]], torch.tensor([0.1, 0.4, 0.5, 0.8]), ids, ids + 4)


@pytest.mark.parametrize("name", ["identity", "logistic_ordered", "class_strengths", "image_table"])
def test_the_file_holds_what_python_fits(mine, study, capsys, name):
    assert fit(mine, "--policy", name, "-o", "policy.json") == 0
    judged = read_study(mine / "study", "infer", classes=CLASSES, num_items=N).without_repeats().to_judgments()
    expected = POLICIES[name](judged)
    torch.testing.assert_close(Perception.load("policy.json")(some_mixes()), expected(some_mixes()), rtol=0, atol=0)
    out = words(capsys.readouterr().out)
    assert f"{name}, fitted to {len(judged.weight)} answers of {len(study.participants)} participants" in out
    scores = cross_validate(judged, {name: POLICIES[name]}).set_index("split")
    for split, message in (("mix", "mixes"), ("pair", "pairs of images"), ("participant", "participants")):
        row = scores.loc[split]
        of_ceiling = f"{100 * row['of_ceiling']:.1f} % {row['deviance']:.3f} ["
        assert f"{message} {row['groups']} {100 * row['share']:.1f} % [" in out
        assert of_ceiling in out
    assert f"which is what all who see a mix share, {100 * scores['ceiling'].iloc[0]:.1f} %" in out
    assert "{class_path: hilmix.human.perception.SavedPerception, init_args: {file: policy.json}}" in out


def test_smoothing_is_fitted_along_and_shown(mine, capsys):
    assert fit(mine, "--policy", "class_strengths", "--smooth", "-o", "smooth.json") == 0
    found = Perception.load("smooth.json")
    assert isinstance(found, ConfidenceSmoothing)
    assert found.line is not None
    assert words(found.extra_repr()) in words(capsys.readouterr().out)


def test_the_policy_that_looks_gets_statistics_of_the_right_images(mine, study, capsys):
    learned = ["--policy", "learned_statistics", "--data", str(mine / "images")]
    assert fit(mine, *learned, "-o", "learned.json") == 0
    assert fit(mine, *learned, "-o", "smooth.json", "--smooth") == 0
    found, smooth = Perception.load("learned.json"), Perception.load("smooth.json")
    judged = read_study(mine / "study", "infer", classes=CLASSES, num_items=N).without_repeats().to_judgments()
    pixels = torch.from_numpy(images(study).inputs.array).permute(0, 3, 1, 2).float() / 255
    expected = LearnedPerception.fit(judged, features=image_statistics(pixels))
    torch.testing.assert_close(found.image_weights, expected.image_weights, rtol=1e-4, atol=1e-5)
    assert smooth.line is None  # it knows how sure people are of a mix
    assert "confidence of the policy" in words(capsys.readouterr().out)


def test_what_cannot_be_scored_is_reported_and_the_policy_written(workplace, capsys):
    """One person, two mixes: too few to hold any out."""
    (workplace / "tiny").mkdir()
    rows = [infer_row(), infer_row(name="mixed_0.9.png", mixtureCoeff=0.9, slider=20, trial_index=7)]
    pd.DataFrame(rows).to_csv("tiny/hmix_infer_mixing_factor.csv")
    assert main(["hmix", "fit", "tiny", "--policy", "logit", "-o", "tiny.json"]) == 0
    out = words(capsys.readouterr().out)
    assert all(part in out for part in ("not scored: held-out participants", "`folds` must be in [2, 1]"))
    assert "removed" not in out
    assert (workplace / "tiny.json").is_file()


def test_bad_options_are_refused_before_any_work(mine, workplace, capsys):
    (workplace / "there.json").write_text("mine")
    study = str(mine / "study")
    error = refused(["nowhere", "--policy", "logits", "-o", "x.json"], capsys)
    assert error == f"error: `--policy` must be one of {', '.join(NAMES)}, got 'logits'."
    error = refused(["nowhere", "--policy", "logit", "-o", "there.json"], capsys)
    assert error.startswith("error: 'there.json' exists already")
    assert "no folder 'no'" in refused(["x", "--policy", "logit", "-o", "no/x.json"], capsys)
    assert "give their data folder with --data" in refused(["x", "--policy", "learned_statistics", "-o", "x"], capsys)
    assert "logit does not look at" in refused(["x", "--policy", "logit", "--data", "y", "-o", "x"], capsys)
    assert "nowhere has no hmix_infer_mixing_factor.csv" in refused(["nowhere", "--policy", "logit", "-o", "x"], capsys)
    assert "`--num-items`" in refused([study, "--policy", "logit", "-o", "x", "--num-items", "0"], capsys)
    assert [file.name for file in workplace.iterdir()] == ["there.json"]


def test_images_that_do_not_fit_are_refused(mine, study, capsys):
    data, ask = images(study), ["--policy", "learned_statistics", "-o", "x.json", "--data"]
    write_folder(
        AnnotatedData("grey", data.items, ArrayInputs(data.inputs.array[..., 0], "image"), data.annotations), "grey"
    )
    folder, other = [str(mine / "study"), *OWN], [str(mine / "study"), "--classes", *CLASSES, "--num-items", str(N + 1)]
    write_folder(replace(data, target=np.roll(data.target, 1)), "rolled")
    assert "Give the images that the study used, in their order" in refused([*folder, *ask, "rolled"], capsys)
    assert "no data folder at 'none'" in refused([*folder, *ask, "none"], capsys)
    assert f"has {N} items; the ids of the study point into {N + 1}" in refused(
        [*other, *ask, str(mine / "images")], capsys
    )
    assert "needs colour images of at least 5 pixels a side" in refused([*folder, *ask, "grey"], capsys)


def test_trials_that_are_all_repeats_are_refused(workplace, capsys):
    (workplace / "odd").mkdir()
    pd.DataFrame([infer_row(task="rerun_rate_mixture")]).to_csv("odd/hmix_infer_mixing_factor.csv")
    assert "every trial is flagged as shown once more" in refused(["odd", "--policy", "logit", "-o", "x.json"], capsys)


def test_help_names_every_policy(capsys):
    with pytest.raises(SystemExit):
        main(["hmix", "fit", "--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES)


def test_learned_perception_beats_the_weight_alone_on_the_released_answers(real_data, workplace, capsys):
    assert main(["hmix", "fit", str(real_data / "hmix"), "--policy", "class_strengths", "-o", "found.json"]) == 0
    out = words(capsys.readouterr().out)
    assert "fitted to 4,788 answers of 81 participants to 2,070 mixes" in out
    assert np.isclose(Perception.load("found.json").slope, 0.886, atol=5e-4)
