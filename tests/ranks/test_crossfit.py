"""Cross-fitting on two ranks takes the steps of one process, and predicts the same out of fold."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hilmix.data import AnnotatedDataModule
from hilmix.modules import CrossFitClassifier
from tests.ranks.every_config import CONFIGS, as_torchrun, build, small_folder, trainer
from tests.ranks.test_training import EPOCHS, STEPS, OfBothRanks, WithoutDraws

SOME = ["method/hilmix.yaml", "method/annot-mix.yaml", "method/geo-reg-f.yaml", "explanation/rrr.yaml"]
FOLDS = 3


def fitted(folder: Path, root: Path, config: str, ranks: int) -> dict[str, Tensor]:
    """Weights in float64 after some steps of gradient descent, and predictions of all items by row."""
    changes = {"optimizer": "SGD", "lr": 0.1, "lr_scaling": "none"}
    one, data = build(config, root, batch_size=16 // ranks, dropout=0.0, **changes)
    data.__class__ = AnnotatedDataModule if ranks > 1 else OfBothRanks
    model = CrossFitClassifier.from_classifier(one, folds=FOLDS)
    limits = {"max_epochs": EPOCHS, "limit_train_batches": STEPS, "limit_val_batches": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda x: (1e3 * x).sin())  # noise that knows no rank
        trainer(folder, ranks, [WithoutDraws()], precision="64-true", **limits).fit(model, datamodule=data)
    found = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = trainer(folder, ranks, [], precision="64-true").predict(model, datamodule=data)
    index = torch.cat([output.index for output in outputs])
    logits, fold = torch.cat([output.logits for output in outputs]), torch.cat([output.fold for output in outputs])
    return found | {
        f"item {i}": torch.cat([f[None], row]) for i, f, row in zip(index.tolist(), fold, logits, strict=True)
    }


def on_two_ranks(rank: int, folder: Path, root: Path, configs: list[str]) -> dict[str, Any]:
    as_torchrun(rank, 2)
    return {config: fitted(folder, root, config, 2) for config in configs}


def check(configs: list[str], folder: Path, run_ranks: Any) -> None:
    root = small_folder(folder / "data")
    ranks = run_ranks(on_two_ranks, folder, root, configs)
    wrong = {}
    for config in configs:
        alone = fitted(folder, root, config, 1)
        items = [{name for name in found[config] if name.startswith("item ")} for found in ranks]
        assert items[0] | items[1] == {name for name in alone if name.startswith("item ")}
        for rank, found in enumerate(ranks):
            pairs = [(value, alone[name]) for name, value in found[config].items()]
            errors = [((value - right) / right.abs().clamp_min(1)).abs().max() for value, right in pairs]
            if (error := float(torch.stack(errors).max())) > 1e-9:
                wrong[config, rank] = error
    assert not wrong


@pytest.mark.filterwarnings("ignore")
def test_some_configs_are_cross_fitted_alike_on_two_ranks(tmp_path, run_ranks):
    check(SOME, tmp_path, run_ranks)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_configs_are_cross_fitted_alike_on_two_ranks(tmp_path, run_ranks):
    check(CONFIGS, tmp_path, run_ranks)
