"""Human judgments of H-Mix for tests of the perception maths, read with a few lines of their own."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

CLASSES = ["Airplane", "Automobile", "Bird", "Cat", "Deer", "Dog", "Frog", "Horse", "Ship", "Truck"]


class Infer(NamedTuple):
    """Answers of the infer study, (M,) each."""

    weight: NDArray[np.float64]
    answer: NDArray[np.float64]
    confidence: NDArray[np.float64]
    participant: NDArray[np.int64]
    stimulus: NDArray[np.int64]
    label1: NDArray[np.int64]
    label2: NDArray[np.int64]
    name: NDArray[np.str_]
    repeat: NDArray[np.bool_]

    def first(self) -> "Infer":
        """Without the repeats."""
        return Infer(*(column[~self.repeat] for column in self))


@pytest.fixture(scope="session")
def infer(real_data: Path) -> Infer:
    frame = pd.read_csv(real_data / "hmix" / "hmix_infer_mixing_factor.csv")
    replies = [json.loads(text) for text in frame["responses"]]
    return Infer(
        weight=frame["mixtureCoeff"].to_numpy(float),
        answer=1 - np.array([s["mixingcoeff"] for s in replies]) / 100,
        confidence=np.array([s["confidence"] for s in replies]) / 100,
        participant=pd.factorize(frame["subject"])[0],
        stimulus=pd.factorize(frame["filename"])[0],
        label1=frame["label1"].map(CLASSES.index).to_numpy(),
        label2=frame["label2"].map(CLASSES.index).to_numpy(),
        name=frame["filename"].to_numpy(str),
        repeat=frame["task"].str.startswith("rerun_").to_numpy(),
    )
