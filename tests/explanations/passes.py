"""A training step around any network, without a trainer: labels at face value, one process."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hilmix.explanations import TrainingPass
from hilmix.types import Batch

Losses = Callable[[Tensor, Tensor], Tensor]


def cross_entropies(log_probs: Tensor, label: Tensor) -> Tensor:
    return -log_probs.gather(1, label[:, None]).squeeze(1)


def cross_entropy(log_probs: Tensor, label: Tensor) -> Tensor:
    return cross_entropies(log_probs, label).mean()


class ToyModel(nn.Module):
    """A network without features of its own, trained on one label for each row."""

    def __init__(self, net: Callable[[Tensor], Tensor], losses: Losses) -> None:
        super().__init__()
        self.net, self.losses = net, losses

    def class_scores(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return x, self.net(x)

    def data_losses(self, features: Tensor, log_probs: Tensor, batch: Batch) -> Tensor:
        return self.losses(log_probs, batch.label)


def pass_of(
    net: Callable[[Tensor], Tensor],
    x: Tensor,
    mask: Tensor,
    label: Tensor,
    *,
    losses: Losses = cross_entropies,
    progress: float | None = 0.0,
) -> TrainingPass:
    """The step of a network on rows of inputs, masks and labels."""
    x, index = x.clone().requires_grad_(), torch.arange(len(x))
    batch = Batch(x, index, label, index, torch.zeros_like(index), label, mask=mask)
    logits, share = net(x), torch.tensor(1 / len(x), dtype=x.dtype)
    return TrainingPass(
        ToyModel(net, losses).train(getattr(net, "training", True)),
        batch,
        x=x,
        features=x,
        logits=logits,
        log_probs=logits.log_softmax(-1),
        per_term=share,
        per_row=share,
        progress=progress,
    )


def mlp(width: int = 6, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 8), nn.Softplus(), nn.Linear(8, classes)).double()


def rows(number: int = 5, width: int = 6, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, masks of which the first is empty, labels."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(number, width, generator=draws, dtype=torch.float64)
    mask = torch.rand(number, width, generator=draws, dtype=torch.float64).round(decimals=1)
    mask[0] = 0
    return x, mask, torch.randint(0, classes, (number,), generator=draws)
