"""The audit's measurement: the page holds the committed rows, the calibration error is that of a loop."""

import numpy as np
import pandas as pd

from experiments.audit.detection import FILE, PAGE, calibration, table


def test_the_page_holds_the_table_of_the_committed_rows() -> None:
    assert table(pd.read_csv(FILE)) in PAGE.read_text()


def test_calibration_is_the_mean_gap_of_ten_bins() -> None:
    rng = np.random.default_rng(0)
    p = np.append(rng.random(200), [0.0, 1.0])
    wrong = (rng.random(202) < p**2).astype(int)
    gap = 0.0
    for low in range(10):
        inside = [i for i in range(202) if min(int(p[i] * 10), 9) == low]
        gap += abs(sum(p[i] - wrong[i] for i in inside))
    assert np.isclose(calibration(p, wrong), gap / 202)
