"""The summary as one page: every table and figure inside, nothing fetched, names escaped."""

import re
from pathlib import Path

import pandas as pd

from hilmix.human.report import Summary, write_page
from hilmix.human.report.page import ROWS


def test_the_page_holds_tables_figures_notes_and_links(tmp_path: Path):
    evil = "<img src=x onerror=alert(1)>"
    tables = {
        "counts": pd.DataFrame({"study": ["infer"], "judgments": [2400], "share": [0.123456]}),
        "curves": pd.DataFrame({"quantity": [evil] * (ROWS + 5), "value": [1.5] * (ROWS + 5)}),
    }
    summary = Summary(tables, (f"infer, curves: {evil}",), 0.9)
    (tmp_path / "relabelling.png").write_bytes(b"picture")
    files = [tmp_path / name for name in ("summary.json", "counts.csv", "curves.csv", "relabelling.png")]
    page = write_page({}, summary, files, tmp_path).read_text(encoding="utf-8")
    assert evil not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == ROWS + 1
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert all(f'href="{file.name}"' in page for file in files)
    assert ">2400<" in page
    assert ">0.123<" in page
    assert f"The first {ROWS} of {ROWS + 5} rows" in page
    assert "90%" in page
    # Neither scripts nor anything from elsewhere.
    assert not re.search(r"<script|(src|href)=\"(https?:)?//", page)


def test_a_summary_without_figures_has_a_page(tmp_path: Path):
    summary = Summary({"counts": pd.DataFrame({"study": ["infer"]})}, (), 0.95)
    page = write_page({}, summary, [tmp_path / "counts.csv"], tmp_path).read_text(encoding="utf-8")
    assert "<img" not in page
    assert "could not be computed" not in page
