"""The pictures of README, landing page and docs/reports.md, in headless Chromium, of what docs/make_reports.py wrote.

python -m docs.make_reports build/reports && python -m docs.make_overview build/reports/reports
"""

import base64
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from docs.make_reports import draw_photos
from hilmix.data import AnnotatedData
from hilmix.data.simulation import make_decoy_digits
from hilmix.names import html_text

OUT = Path(__file__).parent / "images"
WIDTH = 1120
STYLE = (Path(__file__).parent / "overview.css").read_text()


def main(reports: Path) -> None:
    """Writes ``docs/images/overview.png`` and ``docs/images/report-*.png``."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 200}, device_scale_factor=1.5)
        page.set_content(_overview(reports / "photos"))
        _keep(page.screenshot(full_page=True), OUT / "overview.png", 1.0)
        for name in ("digits", "photos", "features"):
            _picture_of(browser, reports / name / "report.html", OUT / f"report-{name}.png")
        browser.close()
    _draw_masks(OUT / "masks.png")


def _draw_masks(out: Path) -> None:
    """Eight digits beside a grey that gives the class away; below, what a person marked, in red."""
    data = make_decoy_digits()
    assert data.masks is not None
    rows = np.flatnonzero((data.split == "train") & (data.target < 8))[:8]
    grey = data.inputs.fetch(rows).numpy().reshape(8, 28, 28).astype(np.float64)
    grey *= 255 / max(grey.max(), 1)
    marked = data.masks.fetch(rows).numpy().reshape(8, 28, 28) > 0
    plain = np.repeat(grey[..., None], 3, axis=-1)
    red = np.where(marked[..., None], 0.35 * plain + 0.65 * np.array([200, 40, 40]), plain)
    edge = ((0, 0), (1, 1), (1, 1), (0, 0))
    strips = [np.concatenate([*np.pad(part, edge, constant_values=255)], 1) for part in (plain, red)]
    sheet = Image.fromarray(np.concatenate(strips).astype(np.uint8))
    sheet.resize((sheet.width * 4, sheet.height * 4), Image.Resampling.NEAREST).save(out, optimize=True)


def _picture_of(browser: Browser, report: Path, out: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 1150})
    page.goto(report.resolve().as_uri())
    _keep(page.screenshot(), out, 0.6)
    page.close()


def _keep(png: bytes, out: Path, scale: float) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.LANCZOS).quantize(256, Image.Quantize.FASTOCTREE).save(out, optimize=True)


def _overview(run: Path) -> str:
    """Pictures with votes, one of them probably wrong; a new picture, labels to check and people, all of the run."""
    labels, people = pd.read_parquet(run / "label_errors.parquet"), pd.read_parquet(run / "annotators.parquet")
    labels[["label", "suggested"]] = labels[["label", "suggested"]].astype(str)
    suspect = labels[labels["label"] != labels["suggested"]].drop_duplicates("item")
    # one picture of each suggested class, so that the reader sees what the labels are about
    chosen = suspect[suspect["item"].map(labels["item"].value_counts()) > 1].drop_duplicates("suggested").head(3)
    data = draw_photos()
    place = {item: i for i, item in enumerate(data.items)}
    items = []
    for row in chosen.to_dict("records"):
        votes = labels[labels["item"] == row["item"]].sort_values("annotator")
        chips = "".join(
            f"<span class='vote{' wrong' * (v['label'] != row['suggested'])}'>"
            f"{html_text(v['annotator'])}: {v['label']}</span>"
            for v in votes.to_dict("records")
        )
        items.append(f"<div class=item>{_image(data, place[row['item']])}<div>{chips}</div></div>")
    known = pd.read_csv(run / "calibrated.csv").set_index("item")
    tested = known.loc[pd.read_parquet(run / "evaluation_test.parquet")["item"]].filter(like="prob_")
    # neither certain nor a guess, which is what calibration is about
    new = tested.loc[(tested.max(axis=1) - 0.85).abs().idxmin()].rename(lambda name: name.removeprefix("prob_"))
    prediction = "".join(_bar(name, share) for name, share in new.sort_values(ascending=False).items())
    ranked = people.sort_values("estimated_accuracy", ascending=False)
    shown = pd.concat([ranked.head(2), ranked.tail(2)]).to_dict("records")
    trust = "".join(_bar(one["annotator"], p := one["estimated_accuracy"], low=p < 0.6) for one in shown)
    check = "".join(
        f"<span class='vote wrong'>{html_text(row['annotator'])}: {row['label']} &rarr; {row['suggested']}?</span>"
        for row in chosen.to_dict("records")
    )
    return (
        f"<style>{STYLE}</style><main><div><h2>People label each picture, and disagree</h2>{''.join(items)}</div>"
        "<div class=arrow>hilmix<svg width=64 height=24><path d='M2 12h52m-10-9 11 9-11 9' fill=none stroke='#2460a7' "
        "stroke-width=3 /></svg></div><div>"
        f"<div class=panel><h2>What a new picture shows, and how sure that is</h2><div class=new>"
        f"{_image(data, place[new.name])}<div>{prediction}</div></div></div>"
        f"<div class=panel><h2>Which labels are probably wrong</h2>{check}</div>"
        f"<div class=panel><h2>How often each person is right</h2>{trust}</div></div></main>"
    )


def _bar(name: str, share: float, *, low: bool = False) -> str:
    inner = f"<div{' class=low' * low} style='width:{100 * share:.0f}%'></div>"
    return (
        f"<div class=row><span>{html_text(name)}</span><div class=bar>{inner}</div>"
        f"<span class=n>{f'{100 * share:.0f} %' if share >= 0.01 else '&lt; 1 %'}</span></div>"
    )


def _image(data: AnnotatedData, row: int) -> str:
    file = io.BytesIO()
    Image.fromarray(data.inputs.array[row]).resize((184, 184), Image.Resampling.BICUBIC).save(file, "PNG")
    return f"<img src='data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}'>"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
