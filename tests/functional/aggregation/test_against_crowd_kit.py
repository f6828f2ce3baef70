"""M-MSR against crowd-kit, where that is installed (``hilmix[bench]``)."""

import numpy as np
import pandas as pd
import pytest

from hilmix.functional.aggregation import mmsr
from tests.functional.aggregation.test_mmsr import crowd


def test_skills_are_those_of_crowd_kit():
    """Of four annotators, of whom none is trimmed: with more, its random start may end at another fixed point.

    All are better than chance, as its step for the signs turns good annotators around where a pair disagrees.
    """
    module = pytest.importorskip("crowdkit.aggregation.classification.m_msr")
    table, _ = crowd([0.9, 0.8, 0.7, 0.85], 300, 3, 2)
    frame = pd.DataFrame({"task": table.item, "worker": table.annotator, "label": table.label})
    theirs = module.MMSR(n_iter=1000, tol=1e-12, random_state=0).fit(frame).skills_.sort_index()
    np.testing.assert_allclose(mmsr(table, tolerance=1e-12).weight, theirs, atol=1e-6)
