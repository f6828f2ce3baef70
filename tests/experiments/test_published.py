"""The table of experiments/published is that of its results."""

import re

import pandas as pd

from experiments.published import letter


def test_the_table_is_that_of_the_rows():
    page = (letter.HERE / "README.md").read_text()
    (shown,) = re.findall(r"<!-- letter -->\n(.*?)\n<!-- end -->", page, flags=re.DOTALL)
    rows = letter.read(letter.FILE)
    assert shown == letter.table(rows)
    assert not rows.duplicated(letter.KEY).any()


def test_means_stand_beside_the_printed_ones():
    rows = pd.DataFrame(
        {
            "method": [m for m in letter.METHODS for _ in range(2)],
            "seed": [0, 1] * len(letter.METHODS),
            "acc": [0.8, 0.84] * len(letter.METHODS),
            "annotator_auroc": [0.9, 0.9] * len(letter.METHODS),
            "cpu_seconds": [10.0, 20.0] * len(letter.METHODS),
        }
    )
    (line,) = (line for line in letter.table(rows).splitlines() if line.startswith("| annot-mix "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["annot-mix", "2", "82.0 ± 2.8", "85.1", "90.0 ± 0.0", "93.1", "15"]
