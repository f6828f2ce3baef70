"""The picture of docs/methods.md: the probability of wrong labels, in-sample and out-of-fold.

python docs/draw_out_of_fold.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from lightning.pytorch import Trainer, seed_everything
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hilmix import AnnotatedDataModule, Classifier, crossfit
from hilmix.backbones import MLP
from hilmix.data import Aggregated
from hilmix.plotting import BLUE, RED, STYLE

IMAGE = Path(__file__).parent / "images" / "out-of-fold.png"
EPOCHS, FOLDS = 60, 5


def main() -> None:
    """Trains one network on all majority labels and five on four fifths each, and draws what they predict."""
    data = AnnotatedDataModule("digits-class", targets=Aggregated("majority"))
    seed_everything(0)
    model = new_model(data)
    new_trainer().fit(model, data)
    votes = data.train_annotations
    wrong = votes.label != data.data.target[votes.item]
    item, label = votes.item[wrong], votes.label[wrong]
    batches = [(batch.index, model.predict_proba(batch.input)) for batch in data.clean_dataloader("train")]
    in_sample = np.zeros((len(data.data), data.num_classes))
    for index, probs in batches:
        in_sample[index] = probs
    table = crossfit(new_model(data), data, new_trainer(), folds=FOLDS)
    out_of_fold = table[[f"prob_{name}" for name in data.data.classes]].to_numpy()
    draw(in_sample[item, label], out_of_fold[item, label])


def new_model(data: AnnotatedDataModule) -> Classifier:
    """Returns a classifier that takes labels at face value."""
    return Classifier(data.num_classes, data.num_annotators, data.input_shape, MLP([256], dropout=0.0), lr=1e-2)


def new_trainer() -> Trainer:
    """Returns a trainer that writes no file."""
    return Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )


def draw(in_sample: NDArray[np.float64], out_of_fold: NDArray[np.float64]) -> None:
    """Writes the histograms of the probabilities of wrong labels under both kinds of prediction."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        pairs = (("in-sample", in_sample, RED), ("out-of-fold", out_of_fold, BLUE))
        for axes, (title, values, colour) in zip(figure.subplots(1, 2, sharey=True), pairs, strict=True):
            axes.hist(values, bins=np.linspace(0, 1, 21).tolist(), color=colour)
            axes.set(title=f"{title}: {values.mean():.2f} on average", xlabel="predicted probability of a wrong label")
        figure.axes[0].set_ylabel("wrong labels")
        figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
