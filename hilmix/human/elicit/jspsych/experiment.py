"""A study as a jsPsych 8 experiment, for hosts that serve files and keep what a page sends them."""

import json
import shutil
from pathlib import Path
from typing import Any

from hilmix.human.elicit.design.manifest import IMAGES, Batch, Manifest, hash_manifest
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve.flow import TASKS_NAMING_CLASSES

PAGES = Path(__file__).parent / "pages"
TIMELINE = "timeline.json"


def write_jspsych(study: Path, folder: Path) -> None:
    """Writes pages, timeline and images into a folder, and a README that says which files of jsPsych go beside them.

    The timeline shows no weights where participants are to judge them; answers carry the ids of their trials.
    It does tell which trials are catch trials and what the comprehension check wants, to anyone who reads it: nothing
    but a server can keep that.

    Args:
        study: folder of the study.
        folder: exists, is empty.

    Raises:
        DataError: if the manifest is not valid or an image is missing.
    """
    opened = Study.open(study)
    for page in sorted(PAGES.iterdir()):
        shutil.copyfile(page, folder / page.name)
    (folder / TIMELINE).write_text(json.dumps(build_timeline(opened), indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / IMAGES).mkdir()
    for name in sorted(frozenset[str]().union(*opened.files.values())):
        shutil.copyfile(opened.image_file(name), folder / IMAGES / name)


def build_timeline(study: Study) -> dict[str, Any]:
    """Returns what the pages show, texts as sanitised HTML."""
    manifest = study.manifest
    return {
        "study": manifest.name,
        "manifest": hash_manifest(study.folder),
        "wording": manifest.wording,
        "classes": manifest.dataset.classes,
        "consent": study.consent,
        "statements": study.statements,
        "instructions": study.instructions,
        "thanks": study.thanks,
        "completion_code": manifest.completion_code,
        "check_attempts": manifest.settings.check_attempts,
        "checks": {task: [one.model_dump() for one in checks] for task, checks in manifest.checks.items()},
        "batches": [_batch(manifest, batch) for batch in manifest.batches],
    }


def _batch(manifest: Manifest, batch: Batch) -> dict[str, Any]:
    trials = []
    for trial in batch.trials:
        shown = manifest.stimuli[trial.stimulus]
        trials.append(
            {
                "id": trial.id,
                "kind": trial.kind,
                "images": shown.images,
                "weights": shown.weights,
                "labels": (shown.label1, shown.label2) if shown.task in TASKS_NAMING_CLASSES else None,
                "start": trial.start,
            }
        )
    return {"id": batch.id, "task": batch.task, "trials": trials}
