"""Exports of annotation tools in their published layouts, written by hand: five images, three annotators.

Every writer holds the same votes: ``VOTES`` of the images ``photo 0.png`` to ``photo 4.png``.
"""

import csv
import io
import json
from pathlib import Path

import pandas as pd
from PIL import Image

VOTES = [
    ("photo 0", "ann", "cat"),
    ("photo 0", "bob", "cat"),
    ("photo 1", "ann", "dog"),
    ("photo 1", "bob", "cat"),
    ("photo 1", "cyd", "dog"),
    ("photo 2", "cyd", "cat"),
    ("photo 3", "ann", "dog"),
    ("photo 3", "bob", "dog"),
    ("photo 4", "bob", "cat"),
]


def write_photos(folder: Path, *names: str) -> Path:
    """Write tiny images, by default those of ``VOTES``; return their folder."""
    folder.mkdir(exist_ok=True)
    for n, name in enumerate(names or [f"photo {i}.png" for i in range(5)]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (40 * n, 0, 0)).save(folder / name)
    return folder


def table(header: str, row: str, sign: str = ",") -> str:
    """Return a table with a header of names that commas separate, and one row per vote of a pattern."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=sign, lineterminator="\n")
    writer.writerow(header.split(","))
    for item, who, label in VOTES:
        writer.writerow([cell.format(item=item, who=who, label=label) for cell in row.split(",")])
    return out.getvalue()


CROWD_KIT = table("task,worker,label", "{item},{who},{label}")
MTURK = table(
    "HITId,HITTypeId,Title,AssignmentId,WorkerId,AssignmentStatus,WorkTimeInSeconds,Input.image_url,Answer.category.label",
    "3X,3T,Cats,3A,{who},Approved,12,https://bucket.example.com/photos/{item}.png?v=2,{label}",
)
TOLOKA = table(
    "INPUT:image,OUTPUT:result,GOLDEN:result,HINT:text,ASSIGNMENT:link,ASSIGNMENT:task_id,ASSIGNMENT:worker_id,"
    "ASSIGNMENT:status",
    "/photos/{item}.png,{label},,,https://x,0001--5f,{who},APPROVED",
    "\t",
)
OWN = table("picture,rater,verdict", "{item},{who},{label}", ";")


def zooniverse() -> str:
    """Return a classification export: two tasks, of which T1 is a comment."""
    out = io.StringIO(newline="")
    names = ["classification_id", "user_name", "user_id", "workflow_name", "created_at", "metadata"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "annotations", "subject_data", "subject_ids"])
    for n, (item, who, label) in enumerate(VOTES):
        subject = f"900{item[-1]}"
        answers = [{"task": "T0", "task_label": "What is it?", "value": label}]
        data = {subject: {"retired": None, "Filename": f"{item}.png"}}
        cells = [n, who, "", "Cats", "2026-01-01 00:00:00 UTC", "{}", json.dumps(answers), json.dumps(data), subject]
        writer.writerow(cells)
    return out.getvalue()


def wide() -> pd.DataFrame:
    """Return one column per annotator, as cleanlab and scikit-activeml have it."""
    frame = pd.DataFrame(VOTES, columns=["item", "annotator", "label"])
    return frame.pivot(index="item", columns="annotator", values="label")
