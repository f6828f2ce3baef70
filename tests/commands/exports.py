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


USERS = {"ann": 7, "bob": 8, "cyd": 9}


def label_studio(*, with_skip: bool = False) -> list[dict]:
    """Return tasks with all their annotations, as Label Studio exports them in JSON; photo 0 is marked as truth."""
    tasks = []
    for n in range(5):
        item = f"photo {n}"
        notes = [
            {
                "id": 100 + v,
                "completed_by": {"id": USERS[who], "email": who, "first_name": "", "last_name": ""},
                "result": [
                    {
                        "value": {"choices": [label]},
                        "id": f"r{v}",
                        "from_name": "kind",
                        "to_name": "img",
                        "type": "choices",
                        "origin": "manual",
                    }
                ],
                "was_cancelled": False,
                "ground_truth": (n, who) == (0, "ann"),
                "created_at": "2026-01-01T10:00:00.000000Z",
                "lead_time": 2.5,
            }
            for v, (name, who, label) in enumerate(VOTES)
            if name == item
        ]
        if with_skip and n == 2:
            skipped = {"value": {"choices": ["dog"]}, "from_name": "kind", "to_name": "img", "type": "choices"}
            notes.append({"id": 999, "completed_by": 8, "result": [skipped], "was_cancelled": True, "lead_time": 1.0})
        data = {"image": f"/data/upload/1/0a1b2c3d-{item}.png"}
        tasks.append({"id": n + 1, "data": data, "annotations": notes, "predictions": [], "meta": {}, "project": 1})
    return tasks


def label_studio_min() -> list[dict]:
    """Return one flat object per annotation, as Label Studio exports them in JSON-MIN."""
    return [
        {
            "image": f"/data/local-files/?d=photos/{item}.png",
            "id": int(item[-1]),
            "kind": label,
            "annotator": USERS[who],
            "annotation_id": 100 + n,
            "created_at": "2026-01-01T10:00:00.000000Z",
            "updated_at": "2026-01-01T10:00:00.000000Z",
            "lead_time": 3.25,
        }
        for n, (item, who, label) in enumerate(VOTES)
    ]


def doccano(who: str) -> str:
    """Return the lines of one annotator, as doccano writes them into a file of their name; unlabelled ones too."""
    given = {item: label for item, name, label in VOTES if name == who}
    images = [f"photo {n}" for n in range(5)]
    records = [
        {"id": n, "filename": f"{name}.png", "label": [given[name]] if name in given else [], "Comments": []}
        for n, name in enumerate(images)
    ]
    return "".join(json.dumps(record) + "\n" for record in records)


def argilla(*, flat: bool) -> list[dict]:
    """Return records with the responses of all users, as Argilla 2 writes them; one response is a draft."""
    records = []
    for n in range(5):
        given = [(label, who, "submitted") for item, who, label in VOTES if item == f"photo {n}"]
        given += [("dog", "cyd", "draft")] if n == 0 else []
        record = {"id": f"uuid-{n}", "status": "completed", "_server_id": f"s{n}"}
        image = {"image": f"https://host.example.com/photo {n}.png"}
        if flat:
            responses = {
                "kind.responses": [label for label, _, _ in given],
                "kind.responses.users": [who for _, who, _ in given],
                "kind.responses.status": [status for _, _, status in given],
            }
            records.append(record | image | responses | {"kind.suggestion": "cat"})
        else:
            values = [{"value": label, "user_id": who, "status": status} for label, who, status in given]
            nested = {"fields": image, "metadata": {}, "suggestions": {}, "vectors": {}, "responses": {"kind": values}}
            records.append(record | nested)
    return records


def argilla_1(*, flat: bool) -> list[dict]:
    """Return the records of a feedback data set of Argilla 1, nested, or flattened as for Hugging Face."""
    records = []
    for n in range(5):
        given = [(who, label, "submitted") for item, who, label in VOTES if item == f"photo {n}"]
        given += [("cyd", "dog", "discarded")] if n == 0 else []
        image = {"image": f"https://host.example.com/photo {n}.png"}
        if flat:
            values = [{"user_id": who, "value": label, "status": status} for who, label, status in given]
            records.append(
                {**image, "kind": values, "kind-suggestion": "cat", "external_id": f"e{n}", "metadata": "{}"}
            )
        else:
            responses = [
                {"user_id": who, "status": status, "values": {"kind": {"value": label}}} for who, label, status in given
            ]
            records.append({"fields": image, "responses": responses, "suggestions": [], "external_id": f"e{n}"})
    return records


def argilla_1_texts() -> list[dict]:
    """Return records of text classification of Argilla 1, one annotator each; the last is not validated yet."""
    records = [
        {"id": item, "text": "", "inputs": {"text": item}, "annotation": label, "annotation_agent": who}
        | {"multi_label": False, "status": "Validated", "prediction": [["dog", 0.9]], "prediction_agent": "model"}
        for item, who, label in VOTES
    ]
    return [*records, records[0] | {"annotation": None, "status": "Default"}]


def mturk_ticks(header: str) -> str:
    """Return a batch with a column of true and false per choice, by the pattern of their headers; one has no tick."""
    columns = [header.format(choice) for choice in ("cat", "dog")]
    rows = [["HITId", "WorkerId", "Input.image_url", *columns, "Approve"]]
    for item, who, label in [*VOTES, ("photo 2", "ann", "")]:
        rows.append(["3X", who, f"https://x/{item}.png", *(str(label == one).lower() for one in ("cat", "dog")), ""])
    return "".join(",".join(row) + "\n" for row in rows)


def cvat(who: str) -> str:
    """Return the tags of one annotator in the format ``CVAT for images 1.1``; a box too, which is no tag."""
    given = {item: label for item, name, label in VOTES if name == who}
    images = "".join(
        f'<image id="{n}" name="photo {n}.png" width="6" height="6">'
        + (f'<tag label="{given[f"photo {n}"]}" source="manual"></tag>' if f"photo {n}" in given else "")
        + '<box label="ear" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2" z_order="0"></box></image>\n'
        for n in range(5)
    )
    meta = "<meta><job><id>1</id><size>5</size><mode>annotation</mode></job></meta>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>{meta}\n{images}</annotations>\n'
    )


def fiftyone() -> dict:
    """Return the samples of a FiftyOneDataset: a field of classifications per annotator, one of detections."""
    samples = []
    for n in range(5):
        sample = {
            "filepath": f"data/photo {n}.png",
            "tags": ["train"],
            "metadata": {"_cls": "ImageMetadata", "width": 6, "height": 6},
            "boxes": {"_cls": "Detections", "detections": []},
        }
        for item, who, label in VOTES:
            if item == f"photo {n}":
                sample[who] = {"_id": {"$oid": "5f"}, "_cls": "Classification", "tags": [], "label": label}
        samples.append(sample)
    return {"samples": samples}
