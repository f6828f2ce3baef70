"""A run goes on with the very data it began with; anything else is refused by name."""

from dataclasses import replace
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.fingerprint import digest_content, digest_inputs, fingerprint_annotations, fingerprint_contents
from hilmix.data.inputs import ArrayInputs, ImageFiles
from hilmix.data.items import AnnotatedData
from tests.helpers import fit, write_vectors

pytestmark = pytest.mark.usefixtures("no_figures")

GO_ON = ["--trainer.max_epochs", "2", "--ckpt_path", "last"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert fit(write_vectors(folder / "data"), folder / "run") == 0
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The data of the run, to be changed."""
    return write_vectors(tmp_path / "data")


def refusal(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert fit(data, trained / "run", *GO_ON) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("row", [0, 17, 59])
def test_a_changed_input_row(row: int, trained: Path, copy: Path, capsys) -> None:
    values = np.load(copy / "inputs.npy")
    values[row, 3] = np.nextafter(values[row, 3], np.float32(9))
    np.save(copy / "inputs.npy", values)
    assert "other data: inputs of" in refusal(trained, copy, capsys)


@pytest.mark.parametrize("row", [3, 58])
def test_a_changed_target(row: int, trained: Path, copy: Path, capsys) -> None:
    items = pd.read_parquet(copy / "items.parquet")
    items.loc[row, "target"] = "x" if items["target"][row] != "x" else "y"
    items.to_parquet(copy / "items.parquet", index=False)
    assert "other data: targets of" in refusal(trained, copy, capsys)


def test_an_untouched_copy_and_an_older_checkpoint(trained: Path, copy: Path) -> None:
    last = trained / "run" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    state = next(value for value in saved.values() if isinstance(value, dict) and "votes" in value)
    for name in ("inputs", "targets", "mask pictures", "annotator metadata", "confidence"):
        del state[name]
    older = last.with_name("older.ckpt")
    torch.save(saved, older)
    for given in (older, "last"):
        assert fit(copy, trained / "run", "--trainer.max_epochs", "1", "--ckpt_path", given) == 0


def shuffle(folder: Path, seed: int) -> pd.DataFrame:
    """Writes the rows of the annotations in another order."""
    votes = pd.read_parquet(folder / "annotations.parquet").sample(frac=1, random_state=seed)
    votes.to_parquet(folder / "annotations.parquet", index=False)
    return votes


@pytest.mark.parametrize("seed", range(2))
def test_rows_in_another_order_are_the_same_votes(seed: int, trained: Path, copy: Path) -> None:
    shuffle(copy, seed)
    assert fit(copy, trained / "run", "--trainer.max_epochs", "1", "--ckpt_path", "last") == 0


def test_a_changed_row_among_shuffled_ones_is_refused(trained: Path, copy: Path, capsys) -> None:
    votes = shuffle(copy, 0).reset_index(drop=True)
    row = int(votes.index[votes["item"] == "i0"][0])
    votes.loc[row, "label"] = "x" if votes["label"][row] != "x" else "y"
    votes.to_parquet(copy / "annotations.parquet", index=False)
    assert "other data: votes of" in refusal(trained, copy, capsys)


def digests(frame: pd.DataFrame, **settings: str) -> tuple[object, object]:
    votes = Annotations.from_frame(frame, items=list("pqr"), classes=["x", "y"], **settings)
    empty = AnnotatedData("d", tuple("pqr"), ArrayInputs(np.zeros((3, 1)), "vector"), votes)
    votes_digest = fingerprint_annotations(votes, [True] * votes.num_annotators)["votes in any order"]
    return votes_digest, fingerprint_contents(empty, votes)["confidence in any order"]


SOFT = {"prob_x": [0.3, 0.3, 0.6, 0.2, 0.9, 0.7], "prob_y": [0.7, 0.7, 0.4, 0.8, 0.1, 0.3]}
FRAMES = {
    "hard": {"label": list("yyxyxx")},
    "soft": SOFT,
    "confidence": {"label": list("yyxyxx"), "confidence": [0.1, 0.2, np.nan, 0.4, 0.5, 0.6]},
    "soft and confidence": {**SOFT, "confidence": [0.1, 0.2, np.nan, 0.4, 0.5, 0.6]},
}


@pytest.mark.parametrize("name", FRAMES)
def test_digests_of_permutations_are_equal(name: str) -> None:
    """One annotator repeats itself on ``p``: with ``keep`` its rows have no order either."""
    frame = pd.DataFrame({"item": list("ppqqrp"), "annotator": list("abacba"), **FRAMES[name]})
    alone, kept = frame.iloc[:5], {"duplicates": "keep"}
    orders = list(permutations(range(6)))[::17]
    assert len({digests(alone.iloc[[row for row in order if row < 5]]) for order in orders}) == 1
    assert len({digests(frame.iloc[list(order)], **kept) for order in orders}) == 1
    assert len({digests(frame.iloc[list(order)]) for order in orders}) == 2
    columns = [column for column in frame if column not in ("item", "annotator")]
    for row in range(5):
        other = alone.copy()
        other.loc[row, columns] = other.loc[(row + 2) % 5, columns].to_numpy()
        if not other.equals(alone):
            assert digests(other) != digests(alone)


def test_the_digest_of_the_content_is_that_of_older_versions_where_order_counts() -> None:
    votes = Annotations.build([0, 0, 1], [1, 0, 1], [0, 1, 1], num_items=2, classes=["x", "y"], annotators=["a", "b"])
    data = AnnotatedData("d", ("p", "q"), ArrayInputs(np.eye(2, dtype=np.float32), "vector"), votes)
    swapped = replace(
        data, annotations=replace(votes, annotator=votes.annotator[[1, 0, 2]], label=votes.label[[1, 0, 2]])
    )
    assert digest_content(data) == digest_content(swapped)
    assert digest_content(data, ordered=True) != digest_content(swapped, ordered=True)
    columns = (votes.item, votes.annotator, votes.label, np.array([-1, -1]), np.eye(2, dtype=np.float32))
    values = sha256(b"".join(column.tobytes() for column in columns)).hexdigest()
    parts = [sha256(b"p\nq").hexdigest(), "a", "b", "x", "y", values]
    assert digest_content(data, ordered=True) == sha256("\n".join(parts).encode()).hexdigest()


def test_a_checkpoint_without_the_unordered_digests_is_matched_by_order(trained: Path, copy: Path, capsys) -> None:
    last = trained / "run" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    state = next(value for value in saved.values() if isinstance(value, dict) and "votes" in value)
    for name in ("votes in any order", "confidence in any order"):
        del state[name]
    torch.save(saved, last.with_name("ordered.ckpt"))
    given = ["--trainer.max_epochs", "1", "--ckpt_path", last.with_name("ordered.ckpt")]
    assert fit(copy, trained / "run", *given) == 0
    shuffle(copy, 0)
    assert fit(copy, trained / "run", *given) == 2
    assert "other data: votes of" in capsys.readouterr().err


def test_each_byte_of_small_arrays_and_files_counts(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (12, 5, 4, 3)).astype(np.uint8)
    seen = {digest_inputs(ArrayInputs(values, "image"))}
    for row in range(12):
        other = values.copy()
        other[row, 2, 1, 0] ^= 1
        seen.add(digest_inputs(ArrayInputs(other, "image")))
    assert len(seen) == 13
    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path, picture in zip(paths, values, strict=True):
        Image.fromarray(picture).save(path)
    before = digest_inputs(ImageFiles(paths))
    assert digest_inputs(ImageFiles(paths)) == before
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
        assert digest_inputs(ImageFiles(paths, size=4)) != before
        path.write_bytes(content)


def test_large_inputs_are_sampled() -> None:
    """No more is read than asked for, always the same rows, the first and the last among them."""
    values = np.zeros((1000, 100), dtype=np.float32)
    read: list[int] = []

    class Counted(ArrayInputs):
        def fetch(self, rows):
            read.extend(rows.tolist())
            return super().fetch(rows)

    first = digest_inputs(Counted(values, "vector"), most=40_000)
    assert len(read) <= 101 + 1
    assert {0, 999} <= set(read)
    changed = values.copy()
    changed[999] = 1
    assert digest_inputs(ArrayInputs(changed, "vector"), most=40_000) != first
    assert digest_inputs(ArrayInputs(values, "vector"), most=40_000) == first
