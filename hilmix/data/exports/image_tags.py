"""Tags of images: CVAT for images 1.1 (XML), and data sets of FiftyOne (JSON)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hilmix.data.exports.answers import Answer, Task, build_export
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.values import quoted


def read_cvat(file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the tags of an export ``CVAT for images 1.1``, which names no annotator: the file does.

    Args:
        file: the XML; for several annotators import one file of each.
        settings: what several tags of an image mean.
        found: collects what is wrong.

    Raises:
        DataError: for a file that is no such XML.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"Cannot read {file}: {error}. Export it again as 'CVAT for images 1.1'.") from error
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise DataError(f"{file} must be an export 'CVAT for images 1.1' with images, got <{root.tag}>.")
    names = [image.get("name", "") for image in images]
    answers = [
        Answer(name, file.stem, tuple(tag.get("label", "") for tag in image.findall("tag")))
        for name, image in zip(names, images, strict=True)
    ]
    tasks = [Task(name, split=image.get("subset")) for name, image in zip(names, images, strict=True)]
    understood = {"item": "name of the image", "annotator": f"name of the file, '{file.stem}'", "label": "its tag"}
    return build_export(file, "CVAT for images", tasks, answers, settings, understood, found)


def read_fiftyone(content: Mapping[str, Any], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the classifications of a data set of FiftyOne; each field of them is an annotator.

    Args:
        content: of ``samples.json``, or of the ``labels.json`` of an image classification data set.
        file: of the export.
        settings: ``columns.target`` names a field that holds the truth; ``columns.label`` the one field to read.
        found: collects what is wrong.
    """
    if "samples" not in content:
        return _read_labels(content, file, settings, found)
    given, tasks, answers = settings.columns, [], []
    fields: dict[str, None] = {}
    for sample in content["samples"]:
        item = str(sample["filepath"])
        labels = {name: choices for name, value in sample.items() if (choices := _classification(value)) is not None}
        fields |= dict.fromkeys(labels)
        tasks.append(Task(item, target=next(iter(labels.get(given.target or "", ())), None)))
        answers += [
            Answer(item, name, choices)
            for name, choices in labels.items()
            if name != given.target and given.label in (None, name)
        ]
    if not fields or any(name not in (None, *fields) for name in (given.target, given.label)):
        text = f"fields of classifications are {quoted(list(fields)) or 'missing'}"
        found.fault("missing-column", file, given.label or given.target or "label", found=text)
    understood = {"item": "'filepath'", "annotator": f"fields {quoted(list(fields))}", "label": "their label"}
    return build_export(file, "FiftyOne data set", tasks, answers, settings, understood, found)


def _read_labels(content: Mapping[str, Any], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Of ``labels.json``: numbers of classes, or names where there is no list of classes, by name of the image."""
    classes, labels = content.get("classes"), content["labels"]
    # Every annotator's export is called labels.json; the folder is what distinguishes them.
    who = file.parent.name or file.stem

    def names(label: Any) -> tuple[str, ...]:
        each = label if isinstance(label, list) else [] if label is None else [label]
        return tuple(classes[one] if isinstance(one, int) and classes else str(one) for one in each)

    answers = [Answer(item, who, names(label)) for item, label in labels.items()]
    understood = {"item": "name of the image", "annotator": f"name of the folder, '{who}'", "label": "its class"}
    tasks = [Task(item) for item in labels]
    return build_export(file, "FiftyOne image classification", tasks, answers, settings, understood, found)


def _classification(value: Any) -> tuple[str, ...] | None:
    """The labels of a field, None if it holds no classification."""
    if not isinstance(value, dict):
        return None
    if value.get("_cls") == "Classification":
        return () if value.get("label") is None else (str(value["label"]),)
    if value.get("_cls") == "Classifications":
        return tuple(str(one["label"]) for one in value.get("classifications", ()))
    return None
