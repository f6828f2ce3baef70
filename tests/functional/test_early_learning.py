"""The memory and the penalty of early-learning regularisation against plain Python."""

import math

import pytest
import torch

from hilmix.functional.early_learning import early_learning_penalty, update_memory

P = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]


def test_the_memory_is_a_moving_average_of_each_item_alone() -> None:
    memory = torch.zeros(4, 3)
    for _ in range(2):
        update_memory(memory, torch.tensor([3, 1]), torch.tensor(P).log(), 0.7)
    kept = 0.7 * 0.3 + 0.3  # of two steps from zero
    expected = [[0.0] * 3, [kept * x for x in P[1]], [0.0] * 3, [kept * x for x in P[0]]]
    for row, values in zip(memory.tolist(), expected, strict=True):
        assert row == pytest.approx(values)


def test_an_item_that_stands_twice_in_a_batch_counts_as_its_mean() -> None:
    memory = torch.ones(2, 3)
    update_memory(memory, torch.tensor([0, 0]), torch.tensor(P).log(), 0.5)
    assert memory[0].tolist() == pytest.approx([0.5 + 0.5 * (a + b) / 2 for a, b in zip(*P, strict=True)])
    assert memory[1].tolist() == [1.0] * 3


def test_the_penalty() -> None:
    memory = [[0.2, 0.5, 0.1], [0.0, 0.0, 0.9]]
    found = early_learning_penalty(torch.tensor(memory), torch.tensor(P).log()).tolist()
    expected = [math.log(1 - sum(t * p for t, p in zip(*rows, strict=True))) for rows in zip(memory, P, strict=True)]
    assert found == pytest.approx(expected)


def test_certain_predictions_and_a_single_class_stay_finite() -> None:
    log_probs = torch.tensor([[0.0, -math.inf]], requires_grad=True)
    memory = torch.zeros(1, 2)
    for _ in range(100):
        update_memory(memory, torch.tensor([0]), log_probs, 0.0)
    penalty = early_learning_penalty(memory, log_probs)
    assert penalty.item() == pytest.approx(math.log(2e-4), rel=1e-2)
    single = torch.zeros(1, 1)
    update_memory(single, torch.tensor([0]), torch.zeros(1, 1), 0.0)
    assert early_learning_penalty(single, torch.zeros(1, 1)).item() == pytest.approx(math.log(1e-4), rel=1e-2)


def test_the_penalty_pulls_towards_the_memory() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0]], requires_grad=True)
    early_learning_penalty(torch.tensor([[0.0, 0.9, 0.1]]), logits.log_softmax(-1)).sum().backward()
    step = (-logits.grad[0]).tolist()
    assert step[1] > 0 > step[2] > step[0]
