"""What every policy must hold: symmetry, distributions, ends, gradients, saving, configuration."""

import json

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from hilmix.errors import ConfigError, DataError
from hilmix.human.perception import (
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ImageTable,
    Mixes,
    Perception,
    SavedPerception,
    to_mixes,
)
from hilmix.parts import Part
from tests.human.perception.simulated import ANCHORED, POLICIES, STRENGTHS, judged, mixes

every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@every_policy
@pytest.mark.parametrize("hard", [True, False])
def test_the_label_does_not_depend_on_which_image_is_the_first(policy, hard):
    shown = mixes(200, hard=hard)
    torch.testing.assert_close(policy(shown.swap()), policy(shown), rtol=0, atol=1e-12)


@every_policy
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_are_distributions_of_the_weights_type(policy, dtype):
    label = policy(mixes(200, dtype=dtype))
    assert label.dtype == dtype
    assert (label >= 0).all()
    torch.testing.assert_close(label.sum(1), torch.ones(200, dtype=dtype), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ANCHORED)
def test_pure_images_keep_their_labels(name):
    shown = mixes()
    for weight, label in ((1.0, shown.label1), (0.0, shown.label2)):
        pure = shown._replace(weight=torch.full_like(shown.weight, weight))
        torch.testing.assert_close(POLICIES[name](pure), label, rtol=0, atol=1e-12)


@every_policy
def test_images_of_one_class_keep_it(policy):
    shown = mixes(hard=True)
    label = policy(shown._replace(label2=shown.label1))
    assert (label.argmax(1) == shown.label1.argmax(1)).all()
    if "Smoothing" not in repr(policy):
        torch.testing.assert_close(label, shown.label1, rtol=0, atol=1e-12)


@every_policy
def test_the_label_of_no_mix_is_empty(policy):
    shown = mixes()
    none = Mixes(*(None if v is None else v[:0] for v in shown))
    assert policy(none).shape == (0, 4)


@every_policy
def test_differentiable_in_labels_and_weight(policy):
    shown = mixes(4)
    moving = [shown.label1, shown.label2] + ([] if "ImageTable" in repr(policy) else [shown.weight])

    def label(*given):
        fixed = [*given, shown.weight][:3]
        return policy(Mixes(*fixed, *shown[3:]))

    assert torch.autograd.gradcheck(label, [v.clone().requires_grad_() for v in moving])


@every_policy
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_gradients_are_finite_at_pure_images(policy, end):
    shown = mixes(dtype=torch.float32)
    weight = torch.full_like(shown.weight, end).requires_grad_()
    policy(shown._replace(weight=weight, label1=shown.label1.requires_grad_()))[:, 0].sum().backward()
    assert weight.grad is None or weight.grad.isfinite().all()
    assert shown.label1.grad.isfinite().all()


@every_policy
def test_nothing_is_left_on_another_device(policy):
    shown = Mixes(*(None if v is None else v.to("meta") for v in mixes()))
    moved = Part.from_spec(policy.spec()).to("meta")
    label = moved.relabel(shown)  # automatic mixed precision does not know this device
    assert (label.device.type, label.shape) == ("meta", (12, 4))


@every_policy
def test_saved_and_loaded_to_the_last_bit(policy, tmp_path):
    policy.save(tmp_path / "p.json")
    found = Perception.load(tmp_path / "p.json")
    assert type(found) is type(policy)
    assert found.spec() == policy.spec()
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(found(mixes(dtype=dtype)), policy(mixes(dtype=dtype)))


@every_policy
def test_specifications_are_plain_and_rebuild_the_policy(policy):
    spec = json.loads(json.dumps(policy.spec()))
    assert torch.equal(Part.from_spec(spec)(mixes()), policy(mixes()))


@every_policy
@pytest.mark.filterwarnings(
    "ignore:.*instantiate_classes", "ignore:.*JsonargparseDeprecationWarning"
)  # its new name is too new
def test_chosen_in_yaml(policy):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--perception", type=Perception)
    instantiate = parser.instantiate if hasattr(parser, "instantiate") else parser.instantiate_classes  # until 4.48
    chosen = instantiate(parser.parse_object({"perception": policy.spec()}))["perception"]
    assert chosen.spec() == policy.spec()
    assert torch.equal(chosen(mixes()), policy(mixes()))


@every_policy
def test_saved_policies_are_chosen_by_their_file(policy, tmp_path):
    policy.save(tmp_path / "p.json")
    chosen = SavedPerception(str(tmp_path / "p.json"))
    assert torch.equal(chosen(mixes()), policy(mixes()))
    (tmp_path / "p.json").unlink()
    assert torch.equal(Part.from_spec(chosen.spec())(mixes()), policy(mixes()))  # a checkpoint stands alone


@every_policy
def test_half_precision_training_does_not_round_labels(policy):
    shown = mixes(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        label = policy(shown)
    assert torch.equal(label, policy(shown))


def test_the_confidence_of_a_saved_policy_is_the_policys(tmp_path):
    table = ImageTable([3], [9], [0.25], [0.4], [0.5])
    table.save(tmp_path / "p.json")
    one = Mixes(*(None if v is None else v[:1] for v in mixes()))
    assert SavedPerception(str(tmp_path / "p.json")).confidence(one).tolist() == [0.5]


def test_policies_that_know_no_confidence_say_so():
    with pytest.raises(ConfigError, match=r"GlobalCurve.*confidence.*ConfidenceSmoothing"):
        ConfidenceSmoothing(GlobalCurve(), line=None)(mixes())


def test_predictions_are_the_share_of_the_first_class():
    judgments = judged()
    np.testing.assert_allclose(Identity().predict(judgments), judgments.weight, rtol=0, atol=1e-15)
    plain, smoothed = (POLICIES[name].predict(judgments) for name in ("class_strengths", "smoothed"))
    odds = np.log(plain / (1 - plain))
    expected = (
        0.886 * np.log(judgments.weight / (1 - judgments.weight))
        + STRENGTHS[judgments.label1]
        - STRENGTHS[judgments.label2]
    )
    np.testing.assert_allclose(odds, expected, atol=1e-6)
    assert (np.abs(smoothed - 0.5) < np.abs(plain - 0.5) + 1e-12).all()


def test_features_reach_policies_by_image():
    judgments = judged(pairs=5, images=50)
    features = torch.arange(100.0).reshape(50, 2)
    shown = to_mixes(judgments, features=features)
    assert torch.equal(shown.features1, features[judgments.id1])
    assert torch.equal(shown.swap().features1, features[judgments.id2])


def test_mixes_within_a_class_have_no_prediction():
    judgments = judged()
    with pytest.raises(DataError, match=r"label2, row 2: .*got 1"):
        Identity().predict(
            judgments._replace(
                label1=np.where(np.arange(900) == 2, 1, judgments.label1),
                label2=np.where(np.arange(900) == 2, 1, judgments.label2),
            )
        )


def written(path, **changes):
    GlobalCurve().save(path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"format": "other"}, DataError, r"p.json holds no perception policy: its 'format' is not 'hilmix perception'"),
        ({"version": 2}, DataError, r"p.json: 'version' must be 1, got 2\. Fit and save"),
        ({"class_path": None}, DataError, r"p.json lacks class_path; fit and save"),
        ({"init_args": None}, DataError, r"p.json lacks init_args; fit and save"),
        ({"init_args": {"curve": 1}}, ConfigError, r"p.json: GlobalCurve: .*'curve'.*'parameters'"),
        ({"class_path": "hilmix.mix.base.NoMix"}, ConfigError, r"'hilmix\.mix\.base\.NoMix' is not a Perception"),
        (
            {"class_path": "hilmix.human.perception.Nothing"},
            ConfigError,
            r"No Perception at 'hilmix\.human\.perception\.Nothing'",
        ),
        (
            {"init_args": {"kind": "linear"}},
            ConfigError,
            r"kind` must be one of \['logit', 'probit', 'logistic'.*'linear'",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        Perception.load(written(tmp_path / "p.json", **changes))


def test_files_that_are_no_json_or_not_there_are_refused(tmp_path):
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(DataError, match=r"p\.json is no JSON file"):
        Perception.load(tmp_path / "p.json")
    (tmp_path / "p.json").write_text("[]")
    with pytest.raises(DataError, match=r"p\.json holds no perception policy"):
        Perception.load(tmp_path / "p.json")
    with pytest.raises(DataError, match=r"Cannot read the perception policy .*none\.json': No such file"):
        Perception.load(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"Cannot write the perception policy to .*No such file"):
        Identity().save(tmp_path / "none" / "p.json")


def test_loading_asks_for_the_class_it_is_called_on(tmp_path):
    Identity().save(tmp_path / "p.json")
    with pytest.raises(ConfigError, match="is not a GlobalCurve"):
        GlobalCurve.load(tmp_path / "p.json")
