"""Every command that prints names, on names that are not harmless."""

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from hilmix import plotting
from hilmix.annotations import Annotations
from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, MetricsFile
from hilmix.cli import main
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.study import write_released
from hilmix.names import printable
from hilmix.spreadsheets import plain_cells
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer
from tests.commands.human import images, plan_study
from tests.nasty import NASTY, renamed
from tests.test_names import STARTS, is_number

ODD_FOLDER = "[/x] $a$ [bold]"


@pytest.fixture(autouse=True)
def narrow_terminal(workplace, monkeypatch):
    """The width that rich assumes where none is known: long names are wrapped."""
    monkeypatch.delenv("COLUMNS")


def everything() -> AnnotatedData:
    """Each name as class, annotator, item and group; every class has votes."""
    number = len(NASTY)
    item, who = np.repeat(np.arange(2 * number), 2), np.arange(4 * number) % number
    annotations = Annotations.build(
        item, who, item % number, num_items=2 * number, classes=NASTY, annotators=NASTY[::-1]
    )
    return AnnotatedData(
        name=NASTY[0],
        items=tuple(f"{NASTY[i % number]} {i}" for i in range(2 * number)),
        licence=NASTY[1],
        inputs=ArrayInputs(np.zeros((2 * number, 4, 4, 3), np.uint8), "image"),
        annotations=annotations,
        target=np.arange(2 * number) % number,
        group=np.arange(2 * number) % number,
        groups=NASTY,
    )


def shown(capsys, *argv: str) -> str:
    """What a command prints, without any control character."""
    capsys.readouterr()
    assert main([*argv]) == 0
    out, err = capsys.readouterr()
    assert not [c for c in out + err if c in "\x1b\x9b\x07\r\t\u202e\u2066\u200b"]
    return out


def test_check(capsys, workplace):
    write_folder(everything(), ODD_FOLDER)
    out = shown(capsys, "data", "check", ODD_FOLDER)
    assert f"{NASTY[0]} ({ODD_FOLDER})" in out
    classes, groups = out.split("votes", 1)[1].split("group")
    for name in NASTY[:20]:
        assert printable(name) in classes
    for name in NASTY:
        assert printable(name) in groups


def test_check_refuses_in_one_message(capsys):
    write_folder(everything(), "mine")
    meta = yaml.safe_load(Path("mine/dataset.yaml").read_text())
    Path("mine/dataset.yaml").write_text(yaml.safe_dump(meta | {"classes": [*NASTY[:5], *NASTY[6:]]}))
    assert main(["data", "check", "mine"]) == 2
    error = capsys.readouterr().err
    assert printable(NASTY[5]) in error
    assert "\x1b" not in error


def test_aggregate_gives_names_back_through_a_spreadsheet(capsys):
    data = everything()
    write_folder(data, "mine")
    out = shown(capsys, "aggregate", "mine", "-o", f"{ODD_FOLDER}.csv")
    assert ODD_FOLDER in out
    with Path(f"{ODD_FOLDER}.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.reader(stream):
            assert not [cell for cell in row if cell.startswith(STARTS) and not is_number(cell)]
    table = plain_cells(pd.read_csv(f"{ODD_FOLDER}.csv", keep_default_na=False))
    assert tuple(table["item"]) == data.items
    assert table["label"].tolist() == [NASTY[i % len(NASTY)] for i in range(2 * len(NASTY))]
    assert list(table)[2 : 2 + len(NASTY)] == [f"prob_{name}" for name in NASTY]


class Texts(HTMLParser):
    """Text and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.scripts, self.images = "", set(), [], []

    def handle_data(self, data: str) -> None:
        if self.scripts and self.lasttag == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "script":
            assert attrs == []
            self.scripts.append("")
        self.tags.add(tag)
        self.images += [str(value) for name, value in attrs if tag == "img" and name == "src"]
        assert not [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("turn", [5, 16])
def test_a_run_its_figures_and_its_report(turn, workplace, capsys, caplog, monkeypatch):
    monkeypatch.setattr("tests.nasty.NASTY", NASTY[turn:] + NASTY[:turn])
    data = renamed(toy_data(images=True))
    callbacks = [CalibrationReport(), LabelErrors(), AnnotatorReport(), MetricsFile()]
    folder = workplace / ODD_FOLDER
    trainer = toy_trainer(folder, callbacks, logger=CSVLogger(str(folder), name="csv"))
    model, datamodule = Toy(), toy_datamodule(data, folder)
    trainer.fit(model, datamodule=datamodule)
    trainer.test(model, datamodule=datamodule, verbose=False)
    out = shown(capsys, "report", str(folder))
    suspects = pd.read_parquet(folder / "label_errors.parquet")
    worst = plain_cells(pd.read_csv(folder / "annotators.csv", keep_default_na=False))
    names = set(worst["annotator"])
    worst = worst[worst["labels"] > 0].sort_values("estimated_accuracy", kind="stable")
    page = Texts()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    for name in (suspects["item"][0], suspects["label"].astype(object)[0], worst["annotator"].iloc[0]):
        assert printable(name) in page.text
    assert printable(worst["annotator"].iloc[0]) in out
    assert {"base", "embed", "iframe", "link", "object"}.isdisjoint(page.tags)
    assert page.images
    assert [source for source in page.images if not source.startswith("data:")] == []
    (script,) = page.scripts  # the page's own
    assert "alert(" not in script
    assert names == set(data.annotations.annotators)
    assert not [c for c in caplog.text if c in "\x1b\x9b\x07\r\u202e\u2066\u200b"]
    if plotting.available():
        assert (folder / "label_errors.png").is_file()


def test_elicit(capsys, workplace):
    study = plan_study()
    data = images(study, split=True)
    data = replace(
        data,
        annotations=replace(data.annotations, classes=NASTY[:3], annotators=NASTY[5:7]),
        items=tuple(f"{NASTY[i % len(NASTY)]} {i}" for i in range(len(data))),
    )
    write_folder(data, "mine")
    out = shown(capsys, "elicit", "build", "mine", "-o", ODD_FOLDER, "--task", "infer", "--pairs", "6", "--seed", "1")
    assert f"to {ODD_FOLDER}: " in out
    assert f"Look: hilmix elicit export {ODD_FOLDER}" in shown(
        capsys, "elicit", "simulate", ODD_FOLDER, "--participants", "2"
    )
    assert f"{Path(ODD_FOLDER).name}  " in shown(capsys, "elicit", "status", ODD_FOLDER)
    assert ODD_FOLDER in shown(capsys, "elicit", "export", ODD_FOLDER, "-o", f"{ODD_FOLDER} out", "--format", "hmix")
    assert main(["hmix", "summary", ODD_FOLDER]) == 0


def test_next_and_build_read_names_back(capsys):
    study = plan_study()
    data = images(study, split=True)
    starts = [name for name in NASTY if name.startswith((*STARTS, "'"))]
    items = tuple(f"{starts[i % len(starts)]} {i}" for i in range(len(data)))
    write_folder(replace(data, items=items), "mine")
    frame = pd.DataFrame({"item": items} | {f"prob_{name}": 1 / 3 for name in data.classes})
    frame.to_parquet("predictions.parquet")
    assert main(["elicit", "build", "mine", "-o", "s", "--task", "infer", "--pairs", "6"]) == 0
    shown(
        capsys,
        "elicit",
        "next",
        "s",
        "--data",
        "mine",
        "--by",
        "model",
        "--predictions",
        "predictions.parquet",
        "--number",
        "5",
        "-o",
        "next.csv",
    )
    with Path("next.csv").open(newline="", encoding="utf-8") as stream:
        assert not [c for row in csv.reader(stream) for c in row if c.startswith(STARTS)]
    shown(capsys, "elicit", "build", "mine", "-o", "second", "--task", "infer", "--pairs-from", "next.csv")


def test_human_judgments(capsys):
    study = plan_study(classes=("[bold]x", "=1+1", "$a$ $b$"))
    write_released(study, "study")
    own = ["--classes", *study.classes, "--num-items", str(study.num_items)]
    out = shown(capsys, "hmix", "summary", "study", "-o", ODD_FOLDER, *own)
    for name in study.classes:
        assert name in out
    assert f"Written to {ODD_FOLDER}" in out
    for file in Path(ODD_FOLDER).glob("*.csv"):
        with file.open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not [cell for cell in cells if cell.startswith(STARTS) and not is_number(cell)]
    assert json.loads(Path(ODD_FOLDER, "summary.json").read_text())


def test_import_of_folders(capsys, workplace):
    names = [name for name in NASTY if "/" not in name]
    for name in names:
        (workplace / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (3, 3)).save(workplace / "photos" / name / f"{name[:80]}.png")
    (workplace / "photos" / names[0] / "[bold]\x1b.txt").write_text("")
    out = shown(capsys, "data", "import", "photos", "--out", ODD_FOLDER)
    assert "[bold]\\x1b.txt" in out
    assert f"written to {ODD_FOLDER}" in out
    assert set(read_folder(ODD_FOLDER).classes) == set(names)
