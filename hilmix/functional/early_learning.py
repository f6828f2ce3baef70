"""Early-learning regularisation: a network is pulled towards its predictions from before it memorised labels."""

import torch
from torch import Tensor

FLOOR = 1e-4
"""Class probabilities are kept within [FLOOR, 1 - FLOOR], as in the authors' code: the penalty stays finite."""


def update_memory(memory: Tensor, index: Tensor, log_probs: Tensor, beta: float) -> None:
    """Moves rows of the memory towards predictions, in place: ``t <- beta t + (1 - beta) p / sum(p)``.

    Args:
        memory: (M, K) float, zeros at the start.
        index: (R,) int64 in [0, M), the row of each prediction; several of one row count as their mean.
        log_probs: (R, K) float class log-probabilities.
        beta: in [0, 1).

    Example:
        >>> memory = torch.zeros(2, 2)
        >>> update_memory(memory, torch.tensor([1]), torch.tensor([[0.25, 0.75]]).log(), 0.5)
        >>> memory.round(decimals=4).tolist()
        [[0.0, 0.0], [0.125, 0.375]]
    """
    probs = log_probs.detach().exp().clamp(FLOOR, 1 - FLOOR)
    # An item can stand twice in a batch; where the last written row would count, ranks could differ.
    same = (index == index.unsqueeze(1)).to(probs.dtype)
    mean = same @ (probs / probs.sum(1, keepdim=True)) / same.sum(1, keepdim=True)
    memory[index] = torch.lerp(mean.to(memory.dtype), memory[index], beta)


def early_learning_penalty(memory: Tensor, log_probs: Tensor) -> Tensor:
    """Returns ``log(1 - <t, p>)`` of each row, (R,): smaller the more a prediction is what the memory holds.

    Args:
        memory: (R, K) float, t of each row.
        log_probs: (R, K) float class log-probabilities.
    """
    probs = log_probs.exp().clamp(FLOOR, 1 - FLOOR)
    return torch.log1p(-(memory.to(probs.dtype) * probs).sum(1))
