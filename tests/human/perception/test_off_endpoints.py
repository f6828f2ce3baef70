"""Mass off both classes: what the label then holds, the fit, pure images."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import (
    HMIX_OFF,
    GlobalCurve,
    Identity,
    Mixes,
    OffEndpoints,
    ParticipantCurves,
    UniformSmoothing,
)


def hard(weight: list[float], classes: int = 5) -> Mixes:
    first, second = torch.eye(classes, dtype=torch.float64)[:2, None].expand(-1, len(weight), -1)
    return Mixes(first, second, torch.tensor(weight, dtype=torch.float64))


def test_other_classes_get_the_mass_of_the_curve() -> None:
    weight = [0.0, 0.2, 0.5, 0.9, 1.0]
    label = OffEndpoints(GlobalCurve(), 0.4, 2.0)(hard(weight))
    off = 0.4 * (1 - (2 * torch.tensor(weight).double() - 1) ** 2)
    torch.testing.assert_close(label[:, 2:].sum(1), off)
    torch.testing.assert_close(label[:, 2], label[:, 4])
    torch.testing.assert_close(label.sum(1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(label[[0, 4]], GlobalCurve()(hard(weight))[[0, 4]])


def test_what_was_uniform_already_stays_so() -> None:
    shown = hard([0.5])
    twice = OffEndpoints(UniformSmoothing(Identity(), 0.5), 0.3, 1.0).uniform_share(shown)
    torch.testing.assert_close(twice, torch.tensor([0.5 + 0.5 * 0.5], dtype=torch.float64))


def test_no_more_than_everything_is_uniform() -> None:
    label = OffEndpoints(Identity(), 0.9, 1.0)(hard([0.5], classes=3))
    torch.testing.assert_close(label, torch.full((1, 3), 1 / 3, dtype=torch.float64))


def test_the_curve_is_recovered() -> None:
    weight = np.random.default_rng(0).random(2000)
    off = 0.45 * (1 - np.abs(2 * weight - 1) ** 1.7)
    found = OffEndpoints.fit(weight, off, policy=Identity())
    assert (found.middle, found.power) == pytest.approx((0.45, 1.7), rel=1e-4)


def test_participants_are_those_of_the_policy() -> None:
    assert OffEndpoints(ParticipantCurves(["ann"], [1.0], 1.0)).participants == ("ann",)


def test_errors() -> None:
    with pytest.raises(ConfigError, match=r"`OffEndpoints\.middle` must be .*, got 1\.5"):
        OffEndpoints(Identity(), 1.5)
    with pytest.raises(ConfigError, match=r"K >= 3.*got 2"):
        OffEndpoints(Identity())(hard([0.5], classes=2))
    with pytest.raises(DataError, match="fewer than two distances"):
        OffEndpoints.fit(np.array([0.25, 0.75]), np.array([0.1, 0.2]), policy=Identity())
    with pytest.raises(DataError, match="equal number"):
        OffEndpoints.fit(np.array([0.25, 0.5]), np.array([0.1, 1.2]), policy=Identity())


def test_the_default_is_the_fit_to_h_mix(real_data) -> None:
    from hilmix.human.study import label_judgments, read_study

    study = read_study(real_data / "hmix", "categorical").without_repeats()
    labels, at, shown = label_judgments(study), study.judgments.stimulus, study.stimuli
    rows = np.arange(len(at))
    off = 1 - labels[rows, shown.label1[at]] - labels[rows, shown.label2[at]]
    found = OffEndpoints.fit(shown.weight[at], off, policy=Identity())
    assert (found.middle, found.power) == pytest.approx(HMIX_OFF, rel=0.005)
