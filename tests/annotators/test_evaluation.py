"""Evaluation of annotator models: the values of the training form, without a matrix for each pair."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hilmix.annotators import (
    AnnotatorModel,
    ConfusionMatrices,
    CrowdAR,
    CrowdLayer,
    DawidSkene,
    GeoRegW,
    TraceReg,
    UnionNet,
)
from hilmix.functional.confusion import DenseConfusion
from hilmix.functional.confusion_tables import JoinedConfusion, TableConfusion
from hilmix.modules import Classifier
from hilmix.types import Batch
from tests.helpers import annotator_inputs

A, K, D, L = 5, 4, 3, 9
WHO = torch.tensor([4, 0, -1, 4, 2, 2, -1, 0, 4])
TRAINED = [ConfusionMatrices, CrowdLayer, TraceReg, GeoRegW, UnionNet, CrowdAR]
"""Annotator models with free matrices of each annotator, trained by gradients."""


def built(kind: type[AnnotatorModel], classes: int = K, spread: float = 1.0) -> AnnotatorModel:
    torch.manual_seed(0)
    model = kind().build(num_features=D, num_classes=classes, num_annotators=A)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("classes", [1, K])
@pytest.mark.parametrize("spread", [1.0, 300.0])
@pytest.mark.parametrize("kind", TRAINED)
def test_evaluation_has_the_values_of_training(kind: type[AnnotatorModel], spread: float, classes: int) -> None:
    model, (features, log_p) = built(kind, classes, spread), annotator_inputs(L, classes, D)
    label, probs = torch.arange(L) % classes, torch.rand(L, classes).softmax(1)
    label_log_probs, dense = model(features, log_p, WHO)
    with torch.no_grad():
        found, tables = model(features, log_p, WHO)
        assert type(tables) is not type(dense)
        close = {"rtol": 1e-4, "atol": 1e-4 * spread}
        torch.testing.assert_close(found, label_log_probs, **close)
        torch.testing.assert_close(tables.log_marginal(log_p), label_log_probs, **close)
        torch.testing.assert_close(tables.log_likelihood(label), dense.log_likelihood(label), **close)
        torch.testing.assert_close(tables.log_likelihood(label, probs), dense.log_likelihood(label, probs), **close)
        torch.testing.assert_close(tables.diagonal(), dense.diagonal(), rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(tables.dense(), dense.dense(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", TRAINED)
def test_no_pairs(kind: type[AnnotatorModel]) -> None:
    with torch.no_grad():
        found, tables = built(kind)(torch.zeros(0, D), torch.zeros(0, K), WHO[:0])
    assert found.shape == tables.log_likelihood(WHO[:0]).shape == tables.diagonal().shape == (0, K)


@pytest.mark.parametrize("soft", [False, True])
def test_table_of_normalised_matrices_against_a_matrix_for_each_pair(soft: bool) -> None:
    g = torch.Generator().manual_seed(0)
    table = (5 * torch.randn(A + 1, K, K, generator=g)).log_softmax(-1)
    found, plain = TableConfusion(table, WHO), DenseConfusion(table[WHO])
    _, log_p = annotator_inputs(L, K, D)
    label, probs = torch.arange(L) % K, torch.rand(L, K, generator=g).softmax(1) if soft else None
    torch.testing.assert_close(found.log_marginal(log_p), plain.log_marginal(log_p))
    torch.testing.assert_close(found.log_likelihood(label, probs), plain.log_likelihood(label, probs))
    torch.testing.assert_close(found.diagonal(), plain.diagonal())
    torch.testing.assert_close(found.dense(), plain.dense())


@pytest.mark.parametrize("soft", [False, True])
def test_chunks_joined_are_the_whole(soft: bool) -> None:
    g = torch.Generator().manual_seed(0)
    matrices = torch.randn(L, K, K, generator=g).log_softmax(-1)
    whole, joined = DenseConfusion(matrices), JoinedConfusion([*map(DenseConfusion, matrices.split(4))], [4, 4, 1])
    _, log_p = annotator_inputs(L, K, D)
    label, probs = torch.arange(L) % K, torch.rand(L, K, generator=g).softmax(1) if soft else None
    torch.testing.assert_close(joined.log_marginal(log_p), whole.log_marginal(log_p))
    torch.testing.assert_close(joined.log_likelihood(label, probs), whole.log_likelihood(label, probs))
    torch.testing.assert_close(joined.diagonal(), whole.diagonal())
    torch.testing.assert_close(joined.dense(), whole.dense())


class LargestTensor(TorchDispatchMode):
    """The most numbers of a tensor that an operation inside allocates."""

    def __init__(self, known: Any) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in (value for value in tree_leaves(out) if isinstance(value, Tensor)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.known:  # not a view of a parameter
                self.numbers = max(self.numbers, storage.nbytes() // tensor.element_size())
        return out


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("model", [*(kind() for kind in TRAINED), DawidSkene(), DawidSkene(prototypes=3)])
def test_no_matrix_for_each_pair_and_no_copy_of_all(model: AnnotatorModel, soft: bool) -> None:
    items, votes, annotators, classes = 32, 4, 20, 50
    g = torch.Generator().manual_seed(0)
    index = torch.arange(items)
    row = index.repeat_interleave(votes)
    who, label = (torch.randint(size, (len(row),), generator=g) for size in (annotators, classes))
    batch = Batch(torch.randn(items, D, generator=g), index, torch.full_like(index, -1), row, who, label)
    batch = batch._replace(probs=torch.rand(len(row), classes, generator=g).softmax(1)) if soft else batch
    whole = Classifier(classes, annotators, [D], annotator_model=model).eval()
    with torch.no_grad(), LargestTensor([*whole.parameters(), *whole.buffers()]) as largest:
        output = whole.evaluate(batch)
    # The normaliser of union-net is over all outcomes of all annotators, in training as here.
    allowed = annotators * classes**2 if isinstance(model, UnionNet) else 3 * classes**2
    votes_as_rows = (
        len(row) * classes * 3 * (classes if soft and model.spec().get("init_args", {}).get("prototypes") else 1)
    )
    assert largest.numbers <= max(allowed, votes_as_rows) < len(row) * classes**2 * 4
    assert output.confusion.dense().shape == (len(row), classes, classes)
