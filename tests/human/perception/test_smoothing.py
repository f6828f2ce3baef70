"""Smoothing by confidence and its control: closed forms, fits, what is shown and refused."""

import numpy as np
import pytest
import torch

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import (
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ImageTable,
    OffEndpoints,
    UniformSmoothing,
    to_mixes,
)
from tests.human.perception.simulated import judged, mixes


def test_the_label_is_that_of_the_formula():
    shown, policy = mixes(), ConfidenceSmoothing(GlobalCurve(), line=(0.6, 0.9))
    sure = 0.6 + 0.3 * (2 * shown.weight - 1).abs()
    c = (50 * 0.0001**sure)[:, None]
    torch.testing.assert_close(policy(shown), (4 * GlobalCurve()(shown) + c) / (4 + 4 * c))
    torch.testing.assert_close(policy.uniform_share(shown), (c / (1 + c))[:, 0])
    torch.testing.assert_close(policy.confidence(shown), sure)


def test_other_constants():
    shown = mixes()
    policy = ConfidenceSmoothing(Identity(), line=(0.5, 0.5), a=1.0, b=1.0)  # half for every participant
    torch.testing.assert_close(policy(shown), 0.5 * Identity()(shown) + 0.125)


def test_the_policys_own_confidence():
    judgments = judged(pairs=10)
    table = ImageTable.fit(judgments)
    found = ConfidenceSmoothing(table, line=None)
    torch.testing.assert_close(found.confidence(to_mixes(judgments)), table.confidence(to_mixes(judgments)))


def test_the_line_is_recovered():
    found = ConfidenceSmoothing.fit(judged(pairs=20_000), policy=GlobalCurve())
    np.testing.assert_allclose(found.line, (0.6, 0.9), atol=0.01)
    silent = judged(pairs=2000)
    silent.confidence[:3000] = np.nan
    rest = silent.take(np.arange(6000) >= 3000)
    assert (
        ConfidenceSmoothing.fit(silent, policy=Identity()).line == ConfidenceSmoothing.fit(rest, policy=Identity()).line
    )


def test_the_line_ends_in_the_range_of_confidence():
    judgments = judged()
    judgments = judgments._replace(confidence=np.where(np.abs(judgments.weight - 0.5) > 0.3, 1.0, 0.0))
    assert ConfidenceSmoothing.fit(judgments, policy=Identity()).line == (0.0, 1.0)


def test_users_see_the_shares():
    text = repr(ConfidenceSmoothing(GlobalCurve(), line=(0.5, 1.0)))
    assert "a=50, b=0.0001, uniform share 33.3% at weight 0.5" in text
    assert "0.5% at weight 1" in text
    assert "confidence of the policy" in repr(ConfidenceSmoothing(ImageTable([1], [2], [0.5], [0.5], [0.5]), line=None))
    assert "uniform share 12.5%" in repr(UniformSmoothing(Identity(), 0.125))


def test_the_control_smooths_as_much_on_average_and_all_mixes_alike():
    shown = mixes(500)
    smoothing = ConfidenceSmoothing(GlobalCurve())
    control = UniformSmoothing.matching(smoothing, shown)
    assert control.share == pytest.approx(smoothing.uniform_share(shown).mean().item(), abs=1e-12)
    torch.testing.assert_close(control(shown), (1 - control.share) * GlobalCurve()(shown) + control.share / 4)


@pytest.mark.parametrize("inner", [OffEndpoints(GlobalCurve(), 0.3, 2.0), UniformSmoothing(Identity(), 1.0)])
def test_what_the_policy_itself_leaves_uniform_is_matched_once(inner):
    shown = mixes(500)
    smoothing = ConfidenceSmoothing(inner)
    control = UniformSmoothing.matching(smoothing, shown)
    means = [policy.uniform_share(shown).mean().item() for policy in (control, smoothing)]
    assert means[0] == pytest.approx(means[1], abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": 0.0}, "\\.a` must be > 0, got 0"),
        ({"b": -1.0}, "\\.b` must be > 0, got -1"),
        ({"line": (0.5, 1.5)}, r"line\[1\]` must be in \[0, 1\], got 1.5"),
        ({"line": (0.5,)}, r"line` must be a list of 2 or null, got"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ConfidenceSmoothing(Identity(), **arguments)


def test_impossible_controls_and_fits_are_refused():
    with pytest.raises(ConfigError, match=r"share` must be in \[0, 1\], got 1\.5"):
        UniformSmoothing(Identity(), 1.5)
    with pytest.raises(DataError, match="there are no mixes whose mean share could be matched"):
        UniformSmoothing.matching(ConfidenceSmoothing(Identity()), mixes()._replace(weight=torch.empty(0)))
    judgments = judged()
    with pytest.raises(DataError, match=r"900 judgments .*confidence.* two distances"):
        ConfidenceSmoothing.fit(
            judgments._replace(weight=np.where(judgments.weight < 0.5, 0.1, 0.9)), policy=Identity()
        )
    with pytest.raises(DataError, match="0 judgments state a confidence"):
        ConfidenceSmoothing.fit(judgments._replace(confidence=np.full(900, np.nan)), policy=Identity())
