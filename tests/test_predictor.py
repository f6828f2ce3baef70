"""``hilmix.load``: probabilities of new items equal those of the command line, calibrated as the run's reports are."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import hilmix
from hilmix.cli import main
from hilmix.data.inputs import fit_picture
from hilmix.errors import ConfigError, DataError, RunError
from tests.helpers import QUIET, fit, in_memory, quiet_trainer, vector_data

pytestmark = pytest.mark.usefixtures("no_figures")
PROBS = ["prob_x", "prob_y", "prob_z"]
POSTERIOR = ["posterior_x", "posterior_y", "posterior_z"]
COLOURS = {"red": (220, 40, 40), "blue": (40, 40, 220)}


def predicted(run: Path, weights: str = "last") -> pd.DataFrame:
    """What the command line predicts of the run's own items, which scores nothing by the temperature."""
    assert main(["predict", "--run_dir", str(run), "--ckpt_path", weights, *QUIET]) == 0
    return pd.read_parquet(run / "predictions.parquet")


def cooled(probs: np.ndarray, run: Path) -> np.ndarray:
    """Probabilities at the temperature of ``calibration.csv``: proportional to their power 1 / T."""
    rows = pd.read_csv(run / "calibration.csv").query("split == 'val' and stage == 'after'")
    powers = probs.astype(np.float64) ** (1 / rows["temperature"].iloc[0])
    return powers / powers.sum(1, keepdims=True)


def write_photos(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    """A data folder of 24 noisy red and blue pictures of some sizes, each with two votes, all true."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    items, votes = [], []
    for i in range(24):
        name, (width, height) = list(COLOURS)[i % 2], sizes[i % len(sizes)]
        noise = rng.integers(-30, 30, (height, width, 3))
        Image.fromarray((COLOURS[name] + noise).clip(0, 255).astype(np.uint8)).save(folder / f"images/{i}.png")
        split = "train" if i < 12 else "val" if i < 18 else "test"
        items.append({"item": f"photo-{i}", "path": f"images/{i}.png", "split": split})
        votes += [{"item": f"photo-{i}", "annotator": who, "label": name} for who in ("ann", "bob")]
    pd.DataFrame(items).to_csv(folder / "items.csv", index=False)
    pd.DataFrame(votes).to_csv(folder / "annotations.csv", index=False)
    (folder / "dataset.yaml").write_text("name: photos\ninput: image\n")
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    assert (
        fit(data, folder, "-c", "configs/method/hilmix-fast.yaml", "--trainer.max_epochs", "2", "--model.lr", "0.003")
        == 0
    )
    return folder


@pytest.fixture(scope="module")
def table(run: Path) -> pd.DataFrame:
    return predicted(run)


@pytest.fixture(scope="module")
def vectors(data: Path) -> np.ndarray:
    return np.load(data / "inputs.npy")


def test_three_lines(run: Path, table: pd.DataFrame, vectors: np.ndarray) -> None:
    predictor = hilmix.load(run)
    probs = predictor.predict_proba(vectors)
    assert predictor.classes == ("x", "y", "z")
    assert predictor.annotators == ("a", "b", "c")
    np.testing.assert_allclose(probs, cooled(table[PROBS].to_numpy(), run), atol=1e-6)
    raw = predictor.predict_proba(vectors, calibrated=False)
    np.testing.assert_allclose(raw, table[PROBS], atol=1e-6)
    assert np.abs(probs - raw).max() > 0.01, "else the temperature does nothing"
    assert predictor.predict(vectors).tolist() == table["predicted"].tolist()


@pytest.mark.parametrize("layout", ["numpy", "list", "frame", "tensor", "float64"])
def test_vectors_in_any_container_and_batch(layout: str, run: Path, vectors: np.ndarray) -> None:
    given = {
        "numpy": vectors,
        "list": vectors.tolist(),
        "frame": pd.DataFrame(vectors),
        "tensor": torch.from_numpy(vectors),
        "float64": vectors.astype(np.float64),
    }[layout]
    predictor, sizes = hilmix.load(run, device="cpu"), []
    found = predictor.predict_proba(given, batch_size=7, on_batch=sizes.append)
    assert sizes == [7] * 8 + [4]
    np.testing.assert_allclose(found, predictor.predict_proba(vectors, batch_size=60), atol=1e-6)
    assert found.dtype == np.float32


def test_no_item_at_all(run: Path) -> None:
    assert hilmix.load(run).predict_proba(np.empty((0, 4))).shape == (0, 3)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (np.zeros((2, 5)), "(B, 4)"),
        (np.zeros(4), "(B, 4)"),
        (np.full((1, 4), np.nan), "row 0"),
        (["a.png"], "vectors of 4"),
    ],
)
def test_other_inputs_are_refused(given: object, part: str, run: Path) -> None:
    with pytest.raises(DataError) as refused:
        hilmix.load(run).predict_proba(given)
    assert part in str(refused.value)


def test_the_data_folder_is_not_needed(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    assert fit(folder, tmp_path / "run", "-c", "configs/method/mv.yaml") == 0
    shutil.rmtree(folder)
    predictor = hilmix.load(tmp_path / "run")
    assert predictor.predict_proba(np.zeros((1, 4))).shape == (1, 3)
    assert predictor.annotators == ()
    with pytest.raises(ConfigError, match="face value"):
        predictor.posterior(np.zeros((1, 4)), [{"a": "x"}])


# -- weights and their temperature -----------------------------------------------------------------------------------


def test_a_temperature_belongs_to_the_weights_that_it_was_fitted_to(run: Path, vectors: np.ndarray, tmp_path) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    saved = torch.load(own / "checkpoints" / "best.ckpt", weights_only=True)
    saved["epoch"], saved["global_step"] = 1, 3  # another epoch than the last
    torch.save(saved, own / "checkpoints" / "early.ckpt")
    predictor = hilmix.load(own, weights="early")
    assert predictor.predict_proba(vectors, calibrated=False).shape == (60, 3)
    with pytest.raises(RunError, match=r"early\.ckpt"):
        predictor.predict_proba(vectors)
    assert main(["test", "--run_dir", str(own), "--ckpt_path", str(own / "checkpoints/early.ckpt"), *QUIET]) == 0
    rows = pd.read_csv(own / "calibration.csv").query("split == 'test' and stage == 'after'")
    assert hilmix.load(own / "checkpoints" / "early.ckpt").temperature == pytest.approx(rows["temperature"].iloc[0])
    assert hilmix.load(own).temperature == hilmix.load(run).temperature


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no checkpoints"):
        hilmix.load(tmp_path)
    with pytest.raises(RunError, match=r"best\.ckpt.*last\.ckpt"):
        hilmix.load(run, weights="first")
    with pytest.raises(ConfigError, match="device"):
        hilmix.load(run, device="abacus")


def test_a_model_whose_classes_have_no_names(tmp_path: Path) -> None:
    """Trained on batches of the user's own."""
    model = hilmix.Classifier(3, 3, [4], lr=0.01)
    trainer = quiet_trainer(tmp_path, max_epochs=1)
    data = in_memory(vector_data())
    trainer.fit(model, data)
    model.trained_on = None
    trainer.save_checkpoint(tmp_path / "bare.ckpt")
    saved = torch.load(tmp_path / "bare.ckpt", weights_only=False)
    torch.save({k: v for k, v in saved.items() if k != "AnnotatedDataModule"}, tmp_path / "bare.ckpt")
    with pytest.raises(RunError, match="no names of classes"):
        hilmix.load(tmp_path / "bare.ckpt")


# -- votes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["mappings", "wide", "long", "annotations"])
def test_the_posterior_is_that_of_the_command_line(layout, run: Path, table: pd.DataFrame, vectors: np.ndarray) -> None:
    mappings = [
        dict(zip(who, what, strict=True)) for who, what in zip(table["annotators"], table["labels"], strict=True)
    ]
    wide = pd.DataFrame(mappings, columns=["c", "a", "b"])
    long = wide.reset_index(names="item").melt("item", var_name="annotator", value_name="label").dropna()
    given = {"mappings": mappings, "wide": wide, "long": long, "annotations": vector_data().annotations}[layout]
    predictor = hilmix.load(run)
    found = predictor.posterior(vectors, given, calibrated=False, batch_size=11)
    np.testing.assert_allclose(found, table[POSTERIOR], atol=1e-5)
    # Bayes: the evidence of the votes is the ratio of posterior to prior, which the temperature changes only here.
    evidence = table[POSTERIOR].to_numpy(np.float64) / table[PROBS].to_numpy(np.float64)
    expected = cooled(table[PROBS].to_numpy(), run) * evidence
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(predictor.posterior(vectors, given), expected, atol=1e-4)


def test_without_votes_the_posterior_is_the_prediction(run: Path, vectors: np.ndarray) -> None:
    predictor = hilmix.load(run)
    none = pd.DataFrame({"item": [], "annotator": [], "label": []})
    np.testing.assert_allclose(predictor.posterior(vectors, none), predictor.predict_proba(vectors), atol=1e-6)


def test_an_unknown_annotator_counts_and_an_unknown_class_does_not(run: Path) -> None:
    predictor, x = hilmix.load(run), np.zeros((1, 4))
    prior, found = predictor.predict_proba(x)[0], predictor.posterior(x, [{"stranger": "y"}])[0]
    assert found[1] > prior[1]
    with pytest.raises(RunError, match="'w'"):
        predictor.posterior(x, [{"a": "w"}])


@pytest.mark.parametrize(
    "votes",
    [
        [{"a": "x"}] * 2,
        np.zeros((2, 3)),
        np.zeros((1, 3, 3)),
        pd.DataFrame({"item": [1], "annotator": ["a"], "label": ["x"]}),
        pd.DataFrame({"item": [0], "annotator": ["a"], "label": [None]}),
    ],
)
def test_votes_of_another_form_are_refused(votes: object, run: Path) -> None:
    with pytest.raises(DataError, match="`votes"):
        hilmix.load(run).posterior(np.zeros((1, 4)), votes)


def test_a_cross_fitted_run_predicts_new_items_by_all_of_its_networks(data: Path, tmp_path: Path, vectors) -> None:
    args = ["--data.root", str(data), "--run_dir", str(tmp_path / "run"), "--trainer.max_epochs", "1", *QUIET]
    assert main(["crossfit", "-c", "configs/method/crowd-layer.yaml", *args]) == 0
    table = predicted(tmp_path / "run")
    new = (table["split"] != "train").to_numpy()  # training items have the network that did not see them
    predictor = hilmix.load(tmp_path / "run")
    np.testing.assert_allclose(
        predictor.predict_proba(vectors[new], calibrated=False), table.loc[new, PROBS], atol=1e-6
    )
    votes = vector_data().annotations.to_dense()[new].astype(object)
    names = [{who: "xyz"[v] for who, v in zip("abc", row, strict=True) if v >= 0} for row in votes]
    found = predictor.posterior(vectors[new], names, calibrated=False)
    np.testing.assert_allclose(found, table.loc[new, POSTERIOR], atol=1e-5)


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder of pictures of three sizes, and a run on it at 16 px."""
    folder = tmp_path_factory.mktemp("photos")
    photos = write_photos(folder / "data", [(20, 16), (16, 24), (40, 40)])
    options = ["--data.image_size", "16", "--model.backbone", "TimmBackbone", "--model.backbone.name", "test_resnet"]
    assert fit(photos, folder / "run", "-c", "configs/method/hilmix-fast.yaml", *options) == 0
    return photos, folder / "run"


def test_images_in_any_container(photo_run: tuple[Path, Path]) -> None:
    photos, run = photo_run
    expected = predicted(run)[["prob_blue", "prob_red"]]
    predictor = hilmix.load(run)
    paths = [str(photos / f"images/{i}.png") for i in range(24)]
    pictures = [Image.open(path) for path in paths]
    for given in (paths, [Path(p) for p in paths], pictures, [np.array(p) for p in pictures], {"path": paths}):
        x = pd.DataFrame(given) if isinstance(given, dict) else given
        np.testing.assert_allclose(predictor.predict_proba(x, calibrated=False), expected, atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba(paths), cooled(expected.to_numpy(), run), atol=1e-6)
    alike = np.stack([np.array(p) for p in pictures[2::3]])  # those of 40 x 40
    float_tensor = torch.from_numpy(alike).permute(0, 3, 1, 2) / 255
    for x in (alike, alike / 255, float_tensor):
        np.testing.assert_allclose(
            predictor.predict_proba(x, calibrated=False), expected.iloc[2::3], atol=2e-3
        )  # bytes are rounded after they are resized, floats are not
    assert predictor.predict_proba(paths[0]).shape == (1, 2)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (np.full((1, 16, 16, 3), 255.0), "[0, 1]"),
        (np.zeros((1, 16, 16, 3), dtype=np.int64), "uint8"),
        (np.zeros((1, 3, 16, 16), dtype=np.uint8), "channel"),
        (np.zeros((1, 16, 16), dtype=np.uint8), "channel"),
        (np.zeros((1, 16)), "(B, H, W, C)"),
        (torch.zeros(1, 1, 16, 16), "(B, 3, H, W)"),
        (["nowhere.png"], "nowhere.png"),
        (pd.DataFrame({"file": ["a.png"]}), "'path'"),
        (3, "int"),
    ],
)
def test_what_is_no_image_is_refused(given: object, part: str, photo_run: tuple[Path, Path]) -> None:
    with pytest.raises(DataError) as refused:
        hilmix.load(photo_run[1]).predict_proba(given)
    assert part in str(refused.value)


@pytest.mark.parametrize("picture", [(40, 60), (60, 40), (33, 57), (16, 16), (7, 16), (3, 400)])
def test_a_square_is_fitted_as_torchvision_does(picture: tuple[int, int]) -> None:
    g = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, *picture), generator=g, dtype=torch.uint8)
    longest = 16 * min(picture)  # what is stretched further is cropped before
    cropped = v2.functional.center_crop(pixels, [min(side, longest) for side in picture])
    expected = v2.Compose([v2.Resize(16, antialias=True), v2.CenterCrop(16)])(cropped)
    assert torch.equal(fit_picture(pixels, (16, 16)), expected)


@pytest.mark.parametrize("picture", [(40, 60), (60, 40), (33, 57), (100, 110)])
def test_a_rectangle_keeps_proportions(picture: tuple[int, int]) -> None:
    """A circle in the middle stays one: its box, where it is bright, is as wide as it is high."""
    y, x = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in picture), indexing="ij")
    disc = ((x**2 + y**2).sqrt() < min(picture) / 4).float()[None]
    found = fit_picture(disc, (64, 48))
    assert found.shape == (1, 64, 48)
    height, width = (found[0] > 0.5).any(1).sum(), (found[0] > 0.5).any(0).sum()
    assert abs(int(height) - int(width)) <= 2
