"""A training step around any network, without a trainer: labels at face value, one process."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from hilmix.explanations import TrainingPass
from hilmix.functional.modes import evaluation_mode


def cross_entropy(log_probs: Tensor, label: Tensor) -> Tensor:
    return -log_probs.gather(1, label[:, None]).mean()


def pass_of(net: nn.Module, x: Tensor, mask: Tensor, label: Tensor, *, progress: float = 0.0) -> TrainingPass:
    """What an explanation loss is shown of one step."""
    x = x.clone().requires_grad_()
    logits = net(x)

    def data_loss_at(some: Tensor, other: Tensor) -> Tensor:
        return cross_entropy(logits.detach().index_copy(0, some, net(other).to(logits)).log_softmax(-1), label)

    return TrainingPass(
        x=x,
        mask=mask,
        logits=logits,
        log_probs=logits.log_softmax(-1),
        data_loss=lambda other: cross_entropy(net(other).log_softmax(-1), label),
        data_loss_at=data_loss_at,
        data_loss_of=lambda log_probs: cross_entropy(log_probs, label),
        mean=lambda values: values.mean(),
        still=lambda: evaluation_mode(net) if isinstance(net, nn.Module) else nullcontext(),
        rows_mixed=False,
        progress=lambda: progress,
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
