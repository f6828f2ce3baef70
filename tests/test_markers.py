"""Generated tables in the pages are those of the committed results."""

from pathlib import Path

import pandas as pd
import pytest

from experiments.foundation import labelme_features
from experiments.markers import fill

ROOT = Path(__file__).parent.parent


def test_fill_replaces_between_its_own_markers_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkeep\n<!-- end -->\n")
    fill(page, "x", "new")
    fill(page, "x", "newer")
    assert page.read_text() == "a\n<!-- x -->\nnewer\n<!-- end -->\nb\n<!-- y -->\nkeep\n<!-- end -->\n"
    with pytest.raises(ValueError, match="no markers <!-- z -->"):
        fill(page, "z", "new")


@pytest.mark.parametrize("page", ["README.md", "experiments/foundation/README.md"])
def test_the_labelme_table_is_that_of_the_results(page: str) -> None:
    folder = ROOT / "experiments" / "foundation"
    final, search = (pd.read_csv(folder / f"labelme_{step}.csv") for step in ("final", "search"))
    table = labelme_features.table(final, search)
    assert f"<!-- labelme-features -->\n{table}\n<!-- end -->" in (ROOT / page).read_text()
    assert set(final.groupby("method")["seed"].nunique()) == {5}
