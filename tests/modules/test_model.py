"""The plain model: any loop trains it, and under Lightning it is the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hilmix.annotators import AnnotMixHead, ConfusionMatrices, Perfect
from hilmix.backbones import MLP
from hilmix.modules import Classifier, CrowdModel
from hilmix.regularizers import EntropyPenalty
from hilmix.types import Batch
from tests.helpers import quiet_trainer

K, A, D = 3, 4, 5


def batch_of(items: int = 8, seed: int = 0) -> Batch:
    """Two labels for each item."""
    draw = torch.Generator().manual_seed(seed)
    row = torch.arange(items).repeat_interleave(2)
    return Batch(
        input=torch.randn(items, D, generator=draw),
        index=torch.arange(items),
        target=torch.full((items,), -1),
        row=row,
        annotator=torch.randint(A, row.shape, generator=draw),
        label=torch.randint(K, row.shape, generator=draw),
    )


@pytest.mark.parametrize("annotators", [Perfect, ConfusionMatrices, lambda: AnnotMixHead(embed_dim=4)])
def test_a_plain_loop_trains_every_parameter(annotators) -> None:
    torch.manual_seed(0)
    model = CrowdModel(K, A, [D], MLP([8], dropout=0.0), annotators(), regularizers=[EntropyPenalty(0.1)]).train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.loss(batch_of())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert [name for name, value in model.named_parameters() if torch.equal(value, before[name])] == []


def test_the_loss_is_the_mean_cross_entropy_of_the_labels() -> None:
    """Labels at face value: -log p(label), by hand from the logits."""
    model, batch = CrowdModel(K, A, [D], MLP([8], dropout=0.0)).eval(), batch_of()
    log_probs = model(batch.input).log_softmax(-1)
    expected = -torch.stack([log_probs[r, k] for r, k in zip(batch.row, batch.label, strict=True)]).mean()
    torch.testing.assert_close(model.loss(batch), expected)
    torch.testing.assert_close(model.predict_proba(batch.input), log_probs.exp())


def test_a_batch_without_labels_has_loss_and_gradients_of_zero() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    model = CrowdModel(K, A, [D], MLP([8], dropout=0.0)).train()
    loss = model.loss(batch_of()._replace(row=none, annotator=none, label=none))
    loss.backward()
    assert loss == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_lightning_trains_the_same_weights(tmp_path: Path) -> None:
    """Three steps on one batch, without mixing and dropout."""
    batch = batch_of(16)
    model = Classifier(
        K, A, [D], MLP([8], dropout=0.0), standardize="none", optimizer="SGD", lr=0.1, schedule="constant"
    )
    plain = CrowdModel(K, A, [D], MLP([8], dropout=0.0), standardize="none")
    own = {name: value for name, value in model.state_dict().items() if name in plain.state_dict()}
    plain.load_state_dict(own)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, weight_decay=1e-4)
    loader = torch.utils.data.DataLoader([batch], batch_size=None)
    quiet_trainer(tmp_path, max_epochs=3).fit(model, loader)
    for _ in range(3):
        optimizer.zero_grad()
        plain.loss(batch).backward()
        optimizer.step()
    for name, value in plain.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, rtol=1e-6, atol=1e-7, err_msg=name)
