"""Mixing by what people perceive: shares against brute force, participants, features, training with it."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn.functional import one_hot

from hilmix.annotations import Annotations
from hilmix.errors import ConfigError
from hilmix.functional.losses import annotation_nll
from hilmix.functional.mixing import row_shares
from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.perception import (
    ClassStrengths,
    ConfidenceSmoothing,
    GlobalCurve,
    Identity,
    ImageTable,
    LearnedPerception,
    Mixes,
    ParticipantCurves,
    Perception,
    SavedPerception,
    UniformSmoothing,
)
from hilmix.mix import HumanMix, ItemMix, MixPolicy
from hilmix.types import Batch

K = 3
STRENGTHS = ClassStrengths([0.5, 0.0, -0.5], 0.8)
ANNOTATIONS = Annotations.build(
    [0, 1, 2], [0, 1, 2], [0, 1, 2], num_items=200, classes=["a", "b", "c"], annotators=["ann", "bob", "cyd"]
)


def batch_of(items: int, pairs: int, seed: int = 0, *, soft: bool = False, one_each: bool = False) -> Batch:
    rng = np.random.default_rng(seed)
    row = np.arange(items) if one_each else np.sort(rng.integers(0, items, pairs))
    probs = rng.dirichlet(np.ones(K), len(row))
    return Batch(
        input=torch.from_numpy(rng.random((items, 3, 8, 8), dtype=np.float32)),
        index=torch.arange(items) + 100,
        target=torch.full((items,), -1),
        row=torch.from_numpy(row),
        annotator=torch.from_numpy(rng.integers(-1, 3, len(row))),
        label=torch.from_numpy(probs.argmax(1)),
        probs=torch.from_numpy(probs) if soft else None,
    )


def bound(policy: MixPolicy) -> MixPolicy:
    policy.bind(ANNOTATIONS)
    return policy


def drawn(policy: MixPolicy, batch: Batch, seed: int = 0):
    return bound(policy).draw(batch, np.random.default_rng(seed))


@given(st.integers(1, 6), st.integers(0, 9), st.integers(0, 10**6), st.booleans())
def test_what_is_mixed_is_perceived_by_the_identity(items: int, pairs: int, seed: int, soft: bool) -> None:
    batch = batch_of(items, pairs, seed, soft=soft)
    plan, plain = drawn(HumanMix(Identity()), batch, seed), drawn(ItemMix(), batch, seed)
    assert torch.equal(plan.partner, plain.partner)
    assert torch.equal(plan.weight, plain.weight)
    label_log_probs = torch.randn(2 * len(batch.row), K, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    arguments = (label_log_probs, batch.label, batch.probs, batch.row)
    torch.testing.assert_close(annotation_nll(*arguments, plan), annotation_nll(*arguments, plain))


@pytest.mark.parametrize(
    "perception",
    [GlobalCurve(), STRENGTHS, ConfidenceSmoothing(STRENGTHS), UniformSmoothing(GlobalCurve(), 0.3)],
    ids=lambda p: type(p).__name__,
)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_one_answer_per_item_is_trained_on_the_label_of_the_policy(
    perception: Perception, items: int, seed: int
) -> None:
    """With an annotator who repeats the class, the loss is the cross-entropy with what the policy calls the blend."""
    batch = batch_of(items, 0, seed, one_each=True)
    plan = drawn(HumanMix(perception), batch, seed)
    hot = one_hot(batch.label, K).float()
    label = perception(Mixes(hot, hot[plan.partner], plan.weight))
    log_q = torch.randn(items, K, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    host = plan.partner.argsort()
    found = annotation_nll(torch.cat([log_q, log_q[host]]), batch.label, None, batch.row, plan)
    torch.testing.assert_close(found.sum(), -(label * log_q).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "perception",
    [GlobalCurve("logistic", (4.58, 0.522), ordered=True), ParticipantCurves(["zoe"], [1.0], 0.9, [0.3], -0.8)],
    ids=lambda p: type(p).__name__,
)
def test_curves_that_prefer_a_class_leave_no_row_short(perception: Perception) -> None:
    """Pairs within a class, and items that are their own partner, have no class that comes first."""
    batch = batch_of(40, 0, 5, one_each=True)
    plan = drawn(HumanMix(perception), batch, 5)
    assert (batch.label == batch.label[plan.partner]).any()
    torch.testing.assert_close(row_shares(plan.shares, batch.row, plan.partner).sum(1), torch.ones(40))


def test_every_answer_is_asked_of_the_blend_by_itself() -> None:
    """Against a loop over answers: the class of the answer, the votes on the other item, expectation over them."""
    batch = batch_of(5, 14, 3)
    smoothed = ConfidenceSmoothing(STRENGTHS)
    plan = drawn(HumanMix(smoothed), batch, 3)
    votes = [one_hot(batch.label[batch.row == b], K).float() for b in range(5)]
    label = [v.mean(0) if len(v) else torch.full((K,), 1 / K) for v in votes]
    pairs = len(batch.row)
    for i, (b, z) in enumerate(zip(batch.row.tolist(), batch.label.tolist(), strict=True)):
        host = plan.partner.tolist().index(b)
        for place, mate, w in ((i, plan.partner[b], plan.weight[b]), (pairs + i, host, 1 - plan.weight[host])):
            line = 0.625 + (0.826 - 0.625) * abs(2 * w - 1)
            c = 50 * 1e-4**line
            u = c / (1 + c)
            h = 0.0
            for d in range(K):
                gap = float(STRENGTHS.offset[z, d])
                h += label[mate][d] * torch.sigmoid(gap + 0.8 * torch.logit(w))
            torch.testing.assert_close(plan.shares[place], torch.stack([(1 - u) * h, w * u]), rtol=1e-4, atol=1e-5)


def test_annotators_of_the_study_see_with_their_own_eyes() -> None:
    batch = batch_of(6, 12, 1)._replace(annotator=torch.tensor([0, 1, 2, -1] * 3))
    curves = ParticipantCurves(["cyd", "zoe", "ann"], [0.5, 1.0, 2.0], 0.9)
    plan = drawn(HumanMix(ConfidenceSmoothing(curves)), batch, 1)
    slope = torch.tensor([2.0, 0.9, 0.5, 0.9] * 3)  # ann, bob (not in the study), cyd, unknown to training
    host = plan.partner.argsort()[batch.row]
    w = torch.cat([plan.weight[batch.row], 1 - plan.weight[host]])
    uniform = plan.shares[:, 1] / w
    expected = torch.sigmoid(slope.repeat(2) * torch.logit(w))
    torch.testing.assert_close(plan.shares[:, 0] / (1 - uniform), expected, rtol=1e-4, atol=1e-5)


def test_an_anonymous_crowd_is_an_unknown_participant() -> None:
    crowd = Annotations.build(
        [0], [0], [0], num_items=9, classes=["a", "b", "c"], annotators=["ann"], exchangeable=True
    )
    mix, batch = HumanMix(ParticipantCurves(["ann"], [2.0], 0.9)), batch_of(4, 0, one_each=True)
    batch = batch._replace(annotator=torch.zeros(4, dtype=torch.int64))
    mix.bind(crowd)
    plan = mix.draw(batch, np.random.default_rng(0))
    torch.testing.assert_close(plan.shares[:4, 0], torch.sigmoid(0.9 * torch.logit(plan.weight)))


def test_images_with_a_strength_of_their_own(tmp_path) -> None:
    learned = LearnedPerception([0.0] * K, 1.0, [1.0, -2.0])
    table = np.random.default_rng(0).normal(size=(200, 2))
    np.save(tmp_path / "f.npy", table)
    batch = batch_of(4, 0, one_each=True)
    plan = drawn(HumanMix(learned, features=str(tmp_path / "f.npy")), batch)
    lead = torch.from_numpy(table @ [1.0, -2.0]).float()[batch.index]
    expected = torch.sigmoid(torch.logit(plan.weight) + lead - lead[plan.partner])
    torch.testing.assert_close(plan.shares[:4, 0], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plan.shares[4:, 0], (1 - expected)[plan.partner.argsort()], rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_the_images_of_the_batch() -> None:
    weights = np.random.default_rng(0).normal(size=15) / 4
    batch = batch_of(5, 0, 2, one_each=True)
    plan = drawn(HumanMix(LearnedPerception([0.0] * K, 1.0, weights.tolist()), features="statistics"), batch)
    lead = image_statistics(batch.input) @ torch.from_numpy(weights).float()
    expected = torch.sigmoid(torch.logit(plan.weight) + lead - lead[plan.partner])
    torch.testing.assert_close(plan.shares[:5, 0], expected, rtol=1e-4, atol=1e-5)


def test_images_that_were_judged_are_known_by_their_rows() -> None:
    batch = batch_of(2, 0, one_each=True)
    mix = bound(HumanMix(ImageTable([100], [101], [0.25], [0.7], fallback=Identity())))
    build_mixes = mix.build_mixes(batch, torch.tensor([1, 0]), torch.tensor([0.25, 0.5]))
    seen = mix.perception.perceived_share(build_mixes)
    # rows: item 0 on its own row, item 1 on its own, item 0 on row 1 (its host), item 1 on row 0
    torch.testing.assert_close(seen, torch.tensor([0.7, 0.5, 0.5, 0.3]))


def test_a_saved_policy_survives_the_specification(tmp_path) -> None:
    STRENGTHS.save(tmp_path / "p.json")
    mix = HumanMix(SavedPerception(str(tmp_path / "p.json")), alpha=0.5)
    spec = mix.spec()
    (tmp_path / "p.json").unlink()
    again, batch = MixPolicy.from_spec(spec), batch_of(4, 9)
    assert torch.equal(drawn(mix, batch).shares, drawn(again, batch).shares)


def test_mixing_leaves_labels_alone_and_blends_inputs_as_mixup() -> None:
    batch = batch_of(4, 9)
    human = bound(HumanMix(STRENGTHS))(batch, np.random.default_rng(0))
    inputs = human.input.clone()
    assert torch.equal(inputs, ItemMix()(batch, np.random.default_rng(0)).input)
    assert torch.equal(human.label, batch.label)
    assert torch.equal(human.annotator, batch.annotator)


def test_a_batch_without_answers_is_mixed() -> None:
    assert bound(HumanMix())(batch_of(3, 0), np.random.default_rng(0)).plan.shares.shape == (0, 2)


def test_errors_say_what_to_give(tmp_path) -> None:
    batch, generator = batch_of(4, 9), np.random.default_rng(0)
    with pytest.raises(ConfigError, match="bind"):
        HumanMix().draw(batch, generator)
    with pytest.raises(ConfigError, match=r"2 classes.*got 3"):
        bound(HumanMix(ClassStrengths([0.0, 1.0], 1.0)))
    with pytest.raises(ConfigError, match="features1"):
        bound(HumanMix(LearnedPerception([0.0] * K, 1.0, [1.0])))
    with pytest.raises(ConfigError, match=r"cannot read the features 'nowhere\.npy'"):
        bound(HumanMix(features="nowhere.npy"))
    np.save(tmp_path / "f.npy", np.zeros((7, 2)))
    with pytest.raises(ConfigError, match=r"features .*\(200, D\).*got the shape \(7, 2\)"):
        bound(HumanMix(features=str(tmp_path / "f.npy")))
    np.savez(tmp_path / "f.npz", np.zeros((200, 2)))
    with pytest.raises(ConfigError, match=r"f\.npz' .*got an archive of arrays"):
        bound(HumanMix(features=str(tmp_path / "f.npz")))
    np.save(tmp_path / "f.npy", np.full((200, 2), "x"))
    with pytest.raises(ConfigError, match="got <U1"):
        bound(HumanMix(features=str(tmp_path / "f.npy")))
    (tmp_path / "f.npy").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"f\.npy': No data left in file"):
        bound(HumanMix(features=str(tmp_path / "f.npy")))
    grey = batch._replace(input=torch.zeros(4, 2, 3, 3))
    with pytest.raises(ConfigError, match=r"RGB images.*\(2, 3, 3\)"):
        drawn(HumanMix(LearnedPerception([0.0] * K, 1.0, [1.0] * 15), features="statistics"), grey)
    with pytest.raises(ConfigError, match="alpha"):
        HumanMix(alpha=0.0)
