"""Modes are put back as they were."""

import torch

from hilmix.functional.modes import evaluation_mode


def test_evaluation_mode_restores_each_part() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with evaluation_mode(model):
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == [True, True, False]
