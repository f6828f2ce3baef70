"""Mix policies: drawn plans, applied plans, replay, and what a mix leaves alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.mix import AnnotMix, CutMix, HiddenMix, ItemMix, MixPolicy, NoMix
from hilmix.types import Batch, MixPlan

POLICIES = [NoMix(), AnnotMix(), ItemMix(), CutMix(), HiddenMix(), HiddenMix(layer="layer2")]


def named(policy: MixPolicy) -> str:
    return f"{type(policy).__name__}-{getattr(policy, 'layer', '')}"


def batch_of(items: int = 4, pairs: int = 9, seed: int = 0, *, soft: bool = False, dtype=torch.float32) -> Batch:
    rng = np.random.default_rng(seed)
    probs = torch.from_numpy(rng.dirichlet(np.ones(3), pairs)) if soft else None
    return Batch(
        input=torch.from_numpy(rng.normal(size=(items, 2, 3, 3))).to(dtype),
        index=torch.arange(items) + 100,
        target=torch.full((items,), -1),
        row=torch.from_numpy(np.sort(rng.integers(0, items, pairs))),
        annotator=torch.from_numpy(rng.integers(0, 5, pairs)),
        label=torch.from_numpy(rng.integers(0, 3, pairs)),
        probs=probs,
        confidence=torch.from_numpy(rng.random(pairs)) if soft else None,
    )


def rows_of(batch: Batch, plan: MixPlan) -> torch.Tensor:
    return batch.input if plan.rows == "items" else batch.input[batch.row]


@pytest.mark.parametrize("policy", POLICIES, ids=named)
@given(st.integers(1, 6), st.integers(0, 12), st.integers(0, 10**6))
def test_a_drawn_plan_is_valid(policy: MixPolicy, items: int, pairs: int, seed: int) -> None:
    batch = batch_of(items, pairs, seed)
    plan = policy.draw(batch, np.random.default_rng(seed))
    if plan is None:
        assert isinstance(policy, NoMix) or pairs == 0
        return
    size = items if plan.rows == "items" else pairs
    assert plan.partner.sort().values.tolist() == list(range(size))
    assert plan.weight.shape == (size,)
    assert ((plan.weight >= 0) & (plan.weight <= 1)).all()


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_drawing_is_a_function_of_the_generator(policy: MixPolicy) -> None:
    batch = batch_of()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again = (policy.draw(batch, np.random.default_rng(3)) for _ in range(2))
    other = policy.draw(batch, np.random.default_rng(4))
    assert torch.equal(torch.get_rng_state(), before)
    if first is None:
        return
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.partner, again.partner)
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize("policy", POLICIES, ids=named)
@pytest.mark.parametrize("soft", [False, True])
def test_mixing_changes_input_and_plan_only(policy: MixPolicy, soft: bool) -> None:
    batch = batch_of(soft=soft)
    source = batch.input.clone()
    mixed = policy(batch, np.random.default_rng(1))
    assert torch.equal(batch.input, source)
    for name in set(Batch._fields) - {"input", "plan"}:
        assert getattr(mixed, name) is getattr(batch, name), name


@pytest.mark.parametrize("policy", [AnnotMix(), ItemMix()], ids=named)
def test_inputs_are_mixed_as_the_plan_says(policy: MixPolicy) -> None:
    batch = batch_of(dtype=torch.float64)
    mixed = policy(batch, np.random.default_rng(1))
    source, plan = rows_of(batch, mixed.plan), mixed.plan
    assert mixed.input.shape == source.shape
    for i, (j, w) in enumerate(zip(plan.partner.tolist(), plan.weight.tolist(), strict=True)):
        torch.testing.assert_close(mixed.input[i], w * source[i] + (1 - w) * source[j])


@pytest.mark.parametrize("policy", [HiddenMix(), HiddenMix(layer="layer2")], ids=named)
def test_hidden_mixing_leaves_the_input_alone(policy: HiddenMix) -> None:
    batch = batch_of()
    mixed = policy(batch, np.random.default_rng(1))
    assert mixed.input is batch.input
    assert mixed.plan.layer == policy.layer
    assert mixed.plan.rows == ("pairs" if policy.layer == "features" else "items")


@pytest.mark.parametrize("policy", POLICIES[1:], ids=named)
def test_a_plan_can_be_replayed(policy: MixPolicy) -> None:
    batch = batch_of()
    mixed = policy(batch, np.random.default_rng(1))
    kept = mixed.input.clone()
    assert torch.equal(policy.apply(batch, mixed.plan).input, kept)


def test_an_injected_plan_is_followed() -> None:
    batch = batch_of(items=2, pairs=0)
    swap = MixPlan(torch.tensor([1, 0]), torch.tensor([0.0, 0.25]))
    mixed = ItemMix().apply(batch, swap).input
    assert torch.equal(mixed[0], batch.input[1])
    torch.testing.assert_close(mixed[1], 0.25 * batch.input[1] + 0.75 * batch.input[0])


def test_the_mixed_input_lies_in_a_buffer_that_the_next_call_overwrites() -> None:
    policy = ItemMix()
    first = policy(batch_of(seed=0), np.random.default_rng(0)).input
    kept = first.clone()
    second = policy(batch_of(seed=1), np.random.default_rng(1)).input
    assert second.data_ptr() == first.data_ptr()
    assert not torch.equal(first, kept)


def test_the_buffer_fits_smaller_larger_and_other_batches() -> None:
    policy = AnnotMix()
    for items, pairs, dtype in (
        (4, 9, torch.float32),
        (2, 3, torch.float32),
        (6, 20, torch.float32),
        (4, 9, torch.float64),
        (4, 9, torch.float16),
    ):
        batch = batch_of(items, pairs, dtype=dtype)
        mixed = policy(batch, np.random.default_rng(0))
        plan, source = mixed.plan, batch.input[batch.row]
        share = plan.weight.reshape(-1, 1, 1, 1).to(dtype)
        assert mixed.input.dtype == dtype
        torch.testing.assert_close(mixed.input, torch.lerp(source[plan.partner], source, share))


def test_channels_last_inputs_are_mixed_alike() -> None:
    batch = batch_of()
    plan = ItemMix().draw(batch, np.random.default_rng(0))
    plain = ItemMix().apply(batch, plan).input
    there = batch._replace(input=batch.input.to(memory_format=torch.channels_last))
    torch.testing.assert_close(ItemMix().apply(there, plan).input, plain)


@given(st.integers(1, 5), st.integers(0, 30), st.integers(1, 4), st.integers(0, 10**6))
def test_max_pairs_keeps_a_random_few_of_each_item(items: int, pairs: int, most: int, seed: int) -> None:
    batch = batch_of(items, pairs, seed, soft=True)
    cut = AnnotMix(max_pairs_per_item=most).limit(batch, np.random.default_rng(seed))
    before, after = (np.bincount(b.row.numpy(), minlength=items) for b in (batch, cut))
    assert after.tolist() == np.minimum(before, most).tolist()
    assert (cut.row.diff() >= 0).all()
    # every kept pair is one of the given, whole, and none is kept twice
    kept = [batch.confidence.tolist().index(c) for c in cut.confidence.tolist()]
    assert len(set(kept)) == len(kept)
    for name in ("row", "annotator", "label", "probs"):
        assert torch.equal(getattr(cut, name), getattr(batch, name)[kept]), name


def test_max_pairs_gives_every_pair_the_same_chance() -> None:
    batch = batch_of(items=1, pairs=6, soft=True)
    generator = np.random.default_rng(0)
    policy = AnnotMix(max_pairs_per_item=2)
    times = np.zeros(6)
    for _ in range(3000):
        kept = policy.limit(batch, generator).confidence
        times[[batch.confidence.tolist().index(c) for c in kept.tolist()]] += 1
    assert np.abs(times / 3000 - 1 / 3).max() < 0.035  # four standard errors


def test_max_pairs_limits_the_rows_of_the_backbone() -> None:
    mixed = AnnotMix(max_pairs_per_item=1)(batch_of(items=4, pairs=40), np.random.default_rng(0))
    assert len(mixed.input) == len(mixed.row) == len(mixed.plan.partner) == 4


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_a_batch_without_pairs_passes(policy: MixPolicy) -> None:
    mixed = policy(batch_of(pairs=0), np.random.default_rng(0))
    assert len(mixed.input) == 4
    assert mixed.input.isfinite().all()


@pytest.mark.parametrize("policy", [*POLICIES, AnnotMix(alpha=0.3, max_pairs_per_item=2)], ids=named)
def test_spec_round_trip(policy: MixPolicy) -> None:
    again = MixPolicy.from_spec(policy.spec())
    assert type(again) is type(policy)
    assert again.spec() == policy.spec()


@pytest.mark.parametrize("path", ["os.system", "hilmix.annotators.Perfect", "torch.nn.Linear", "no.such.Mix", "Mix"])
def test_foreign_class_paths_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=path.split(".")[0]):
        MixPolicy.from_spec({"class_path": path, "init_args": {}})


@pytest.mark.parametrize("policy", [AnnotMix, ItemMix, HiddenMix])
@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_alpha_is_checked_when_the_policy_is_made(policy: type[MixPolicy], alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha"):
        policy(alpha=alpha)


def test_max_pairs_is_checked_when_the_policy_is_made() -> None:
    with pytest.raises(ConfigError, match="max_pairs_per_item` must be >= 1 or null, got 0"):
        AnnotMix(max_pairs_per_item=0)
