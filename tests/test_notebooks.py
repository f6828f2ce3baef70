"""The notebooks run from top to bottom: on the embedded data, on a folder that knows no truth, on H-Mix."""

import asyncio
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hilmix import AnnotatedData, Annotations, write_folder
from hilmix.data import ArrayInputs
from hilmix.types import UNKNOWN

IPKernelApp = pytest.importorskip(
    "ipykernel.kernelapp", reason="notebooks need the extra dev: ipykernel is not installed"
).IPKernelApp
nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra dev: nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra dev: nbformat is not installed")

launcher = pytest.importorskip("jupyter_client.provisioning.local_provisioner")

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


class ForkedKernel(multiprocessing.get_context("fork").Process):  # type: ignore[name-defined,misc]
    """A kernel in a copy of this process, with what the manager of kernels asks of ``subprocess.Popen``.

    The copy has imported torch and hilmix already, which takes a new interpreter longer than most cells do.
    """

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], *, env: dict[str, str], cwd: str, **_: Any) -> None:
        super().__init__()
        self.options = command[command.index("-f") :]  # without the interpreter and its module
        self.folder, self.environment = cwd, env
        self.start()
        os.setpgid(self.pid, self.pid)  # the manager ends a kernel by its group of processes: not that of the tests

    def run(self) -> None:
        os.environ |= self.environment
        os.chdir(self.folder)
        pd.options.display.max_columns = 20  # what pandas chooses when a kernel imports it
        asyncio.set_event_loop(asyncio.new_event_loop())  # the copied one is running, as the client waits in it
        IPKernelApp.launch_instance(self.options)

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``execute(file, parameters)`` runs a notebook with a cell after its parameters; any error of a cell is raised."""
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):  # nothing is written outside the test's folder
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setattr(launcher, "launch_kernel", ForkedKernel)

    def run(file: Path, parameters: str) -> dict[str, str]:
        notebook = nbformat.read(file, as_version=4)
        (place,) = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(parameters))
        client = nbclient.NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute()
        return {cell["id"]: _shown(cell) for cell in notebook.cells if cell.cell_type == "code"}

    return run


def _shown(cell: Any) -> str:
    """Standard output and shown values of a cell; a figure is ``<png>``."""
    texts = []
    for output in cell.outputs:
        data = output.get("data", {})
        texts.append("<png>" if "image/png" in data else data.get("text/plain", output.get("text", "")))
    return "\n".join(texts)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_are_valid_and_committed_without_outputs(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) <= 30


def test_three_methods_are_compared_on_the_embedded_digits(execute: Any) -> None:
    # 12 epochs: hilmix estimates matrices from the tenth on
    shown = execute(FOLDER / "compare_methods.ipynb", "EPOCHS = 12")
    header, *rows = shown["table"].splitlines()
    assert header.split() == ["acc", "nll", "ece", "annotator_auroc", "agreement", "vote_nll"]
    scores = {name: dict(zip(header.split(), values, strict=True)) for name, *values in map(str.split, rows)}
    assert list(scores) == ["mv", "annot-mix-hidden", "hilmix"]
    assert scores["mv"]["annotator_auroc"] == "NaN", "it has no model of annotators"
    assert float(scores["hilmix"]["acc"]) > 0.7, "half of the votes are wrong; the best single class would be 0.1 right"
    assert float(scores["hilmix"]["annotator_auroc"]) > 0.7
    assert "<png>" in shown["reliability"]
    assert "<png>" in shown["curves"]
    assert "true_accuracy" in shown["annotators"]
    assert "suggested" in shown["labels"]


def test_a_folder_without_truth_and_test_items_is_compared_by_its_votes(execute: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(90) % 3
    inputs = rng.normal(size=(90, 4)).astype(np.float32) + 3 * np.eye(3, 4, dtype=np.float32)[truth]
    item, annotator = np.repeat(np.arange(90), 2), np.tile([0, 1, 1, 2, 2, 0], 30)
    label = np.where(rng.random(180) < 0.7, truth[item], rng.integers(3, size=180))
    votes = Annotations.build(item, annotator, label, num_items=90, classes=["a", "b", "c"], annotators=3)
    split = np.where(np.arange(90) < 60, "train", "val")
    names = tuple(f"item-{i}" for i in range(90))
    data = AnnotatedData("mine", names, ArrayInputs(inputs, "vector"), votes, split=split)
    assert (data.target == UNKNOWN).all()
    write_folder(data, tmp_path / "mine")
    parameters = f"FOLDER = {str(tmp_path / 'mine')!r}; EPOCHS = 2"
    shown = execute(FOLDER / "compare_methods.ipynb", parameters)
    assert shown["table"].splitlines()[0].split() == ["agreement", "vote_nll"]
    assert "<png>" in shown["reliability"]
    assert "true_accuracy" not in shown["annotators"]
    assert "target" not in shown["labels"]


def test_from_votes_to_a_served_prediction(execute: Any) -> None:
    pytest.importorskip("onnxruntime")
    shown = execute(FOLDER / "serve_it.ipynb", "EPOCHS = 6")
    accuracy = float(re.search(r"accuracy on new items: ([\d.]+)", shown["train"])[1])
    assert accuracy > 0.7, "nearly half of the votes are wrong; the best single class would be 0.1 right"
    assert "estimated_accuracy" in shown["annotators"]
    found = dict(re.findall(r"^(image|image and votes): ([\d.]+) right", shown["load"], re.MULTILINE))
    assert float(found["image"]) == accuracy
    assert float(found["image and votes"]) > accuracy
    assert float(re.search(r"([\de.-]+)$", shown["export"].strip())[1]) <= 1e-5
    assert re.fullmatch(r"\d [01]\.\d+ true: \d", shown["serve"].strip())


def test_marks_take_a_classifier_off_the_grey(execute: Any) -> None:
    # a lighter weight than the notebook's learns within 5 epochs what takes that 12
    shown = execute(FOLDER / "explanations.ipynb", "EPOCHS, WEIGHT = 5, 10.0")
    rows = re.findall(r"^(without masks|with masks|masks of 5%) +([\d.]+) +([\d.]+)$", shown["runs"], re.MULTILINE)
    accuracy = {name: float(value) for name, value, _ in rows}
    assert accuracy["without masks"] < 0.5, "the grey gives the digit away in training only"
    assert accuracy["with masks"] > accuracy["without masks"] + 0.2
    assert all("<png>" in shown[name] for name in ("data", "saliency"))


@pytest.mark.slow
def test_from_judgments_of_mixes_to_a_trained_model(execute: Any, real_data: Path) -> None:
    for name in ("hmix", "cifar10", "cifar10h"):
        if not (real_data / name).is_dir():
            pytest.skip(f"needs real data: HILMIX_DATA has no folder {name}")
    shown = execute(FOLDER / "human_mixup.ipynb", "EPOCHS = 1")
    assert "4,788 answers of 81 participants to 2,070 mixes" in shown["answers"]
    assert all("<png>" in shown[name] for name in ("answers", "confidence", "picture"))
    rows = re.findall(
        r"^(one curve|class strengths|learned from images) .* ([\d.-]+)$", shown["policies"], re.MULTILINE
    )
    curve, strengths, learned = (float(of_ceiling) for _, of_ceiling in rows)
    assert curve < 0.05 < strengths < 0.2 < learned
    found = re.findall(r"^(mixup|human mixup) +([\d.]+) +([\d.]+) +[\d.]+$", shown["scores"], re.MULTILINE)
    floor = float(re.search(r"entropy of people's answers: ([\d.]+)", shown["scores"])[1])
    assert [name for name, *_ in found] == ["mixup", "human mixup"]
    for _, accuracy, cross_entropy in found:
        assert float(accuracy) > 0.2, "guessing would be 0.1 right"
        assert floor < float(cross_entropy) < np.log(10)
