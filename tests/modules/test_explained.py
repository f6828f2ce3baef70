"""Explanation losses and group weights inside a classifier: with annotators, mixing, mixed precision, two processes."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotatorModel, AnnotMixHead, CrowdAR, DawidSkene, Perfect
from hilmix.backbones import MLP, TimmBackbone
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs
from hilmix.data.masks import Masks
from hilmix.errors import ConfigError
from hilmix.explanations import CDEP, R4, RRR, AvgEx, Explanation, IBPEx, PGDEx, TrainingPass
from hilmix.group_dro import GroupDRO
from hilmix.human.perception import GlobalCurve
from hilmix.mix import AnnotMix, CutMix, HiddenMix, HumanMix, ItemMix, MixPolicy, NoMix
from hilmix.modules import Classifier, EMClassifier
from hilmix.types import Batch
from tests.helpers import GivenBatches, in_memory, quiet_trainer

K, A, SIDE = 3, 4, 6


def data(masks: bool = True, groups: bool = True) -> AnnotatedData:
    """Noise images with two votes each; every other item has a mask of its left half."""
    rng = np.random.default_rng(0)
    n = 48
    left = np.zeros((1, SIDE, SIDE), np.uint8)
    left[:, :, : SIDE // 2] = 255
    explained = np.arange(0, n, 2)
    return AnnotatedData(
        name="halves",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(rng.integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8), "image"),
        annotations=Annotations.build(
            np.arange(n).repeat(2),
            rng.integers(0, A, 2 * n),
            rng.integers(0, K, 2 * n),
            num_items=n,
            classes=K,
            annotators=A,
        ),
        target=rng.integers(0, K, n),
        split=np.array(["train"] * 32 + ["val"] * 8 + ["test"] * 8),
        masks=Masks.build(
            explained,
            np.zeros(len(explained), int),
            ArrayInputs(left, "image"),
            num_items=n,
            annotators=["ann"],
            picture=np.zeros(len(explained), int),
        )
        if masks
        else None,
        group=np.arange(n) % 2 if groups else np.empty(0, np.int64),
        groups=("even", "odd") if groups else (),
    )


def module(mix: MixPolicy | None = None, source: AnnotatedData | None = None, **settings) -> AnnotatedDataModule:
    return in_memory(data() if source is None else source, mix=mix, **settings)


def model(explanations: list[Explanation], annotators: AnnotatorModel | None = None, **settings) -> Classifier:
    kind = EMClassifier if isinstance(annotators, DawidSkene) else Classifier
    settings = {"backbone": MLP([6], dropout=0.0), **settings}
    return kind(K, A, [3, SIDE, SIDE], annotator_model=annotators, explanations=explanations, num_groups=2, **settings)


EVERY = [RRR(1.0), AvgEx(1.0), PGDEx(1.0, steps=2)]


@pytest.mark.parametrize(
    "mix",
    [NoMix(), ItemMix(), AnnotMix(), CutMix(), HiddenMix(), HumanMix(GlobalCurve())],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize(
    "annotators", [Perfect(), AnnotMixHead(embed_dim=4), DawidSkene()], ids=lambda m: type(m).__name__
)
def test_every_mix_policy_and_annotator_model_trains_with_explanations(
    tmp_path: Path, mix: MixPolicy, annotators: AnnotatorModel
) -> None:
    if isinstance(mix, HiddenMix):
        mix = HiddenMix(layer="features")
    seed_everything(0)
    made = model(EVERY, annotators)
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    quiet_trainer(tmp_path, max_epochs=2).fit(made, module(mix))
    for name, parameter in made.named_parameters():
        assert parameter.isfinite().all(), name
        assert not torch.equal(parameter, before[name]), f"{name} does not move"


def test_rrr_takes_the_saliency_off_the_marked_half(tmp_path: Path) -> None:
    """On noise there is nothing to learn but the labels by heart, which either half allows."""
    shares = []
    for part in ([], [RRR(30.0)]):
        seed_everything(0)
        made = model(part, lr=0.01)
        source = module()
        quiet_trainer(tmp_path, max_epochs=60).fit(made, source)
        x = made.standardized(source.data.inputs.fetch(np.arange(0, 32, 2))).requires_grad_()
        (gradient,) = torch.autograd.grad(made.head(made.features(x)).sum(), x)
        left = gradient[..., : SIDE // 2].norm()
        shares.append((left / gradient.norm()).item())
    assert shares[1] < 0.5 * shares[0]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_networks_of_timm_take_them(tmp_path: Path, name: str) -> None:
    seed_everything(0)
    made = model(EVERY, backbone=TimmBackbone(name))
    quiet_trainer(tmp_path, max_steps=2).fit(made, module())
    assert all(p.isfinite().all() for p in made.parameters())


def test_second_order_gradients_under_mixed_precision(tmp_path: Path) -> None:
    """The gradient of a step in bf16 points where that of float32 does."""
    found = []
    for precision in ("32-true", "bf16-mixed"):
        seed_everything(0)
        made = model([RRR(1.0), PGDEx(1.0, steps=2)], optimizer="SGD", lr=1.0, weight_decay=0.0, schedule="constant")
        before = torch.cat([p.detach().flatten().clone() for p in made.parameters()])
        quiet_trainer(tmp_path, max_steps=1, precision=precision).fit(made, module())
        found.append(before - torch.cat([p.detach().flatten() for p in made.parameters()]))
    assert torch.cosine_similarity(found[0], found[1], dim=0) > 0.99


class Watch(Explanation):
    """Adds nothing, and notes what it is shown."""

    def __init__(self) -> None:
        self.shares: list[float | None] = []
        self.masks: list[Tensor] = []

    def term(self, step: TrainingPass) -> Tensor:
        self.shares.append(step.progress)
        self.masks.append(step.mask)
        return 0 * step.logits.sum()


def test_progress_goes_by_the_steps_of_the_optimizer(tmp_path: Path) -> None:
    made = model([Watch()])
    quiet_trainer(tmp_path, max_epochs=2, accumulate_grad_batches=2).fit(made, module())  # of four batches an epoch
    assert made.explanations[0].shares == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    with pytest.raises(ConfigError, match=r"IBPEx.*trainer\.max_epochs or max_steps"):
        quiet_trainer(tmp_path, max_epochs=-1).fit(model([IBPEx()], schedule="constant"), module())


@pytest.mark.parametrize("how", ["max", "weighted"])
def test_masks_are_mixed_with_their_images(tmp_path: Path, how: str) -> None:
    seen: list[Batch] = []

    class Keep(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            seen.append(batch)

    source, made = module(ItemMix(), mix_masks=how), model([Watch()])
    quiet_trainer(tmp_path, max_steps=2, callbacks=[Keep()]).fit(made, source)
    for batch, mask in zip(seen, made.explanations[0].masks, strict=True):
        own = source.data.masks.fetch(batch.index.numpy()) / 255
        weight = batch.plan.weight[:, None, None, None]
        blend = weight * own + (1 - weight) * own[batch.plan.partner]
        either = (own + own[batch.plan.partner]).clamp(max=1)
        torch.testing.assert_close(mask, either if how == "max" else blend)


class AllRows(TrainingPass):
    """As if rows acted on each other."""

    rows_mixed = True


class BothAttacks(Explanation):
    """Compares the attack on the explained rows with one in which all rows go through the network."""

    def __init__(self) -> None:
        self.compared = 0

    def term(self, step: TrainingPass) -> Tensor:
        attack = PGDEx(2.0, steps=3)
        moved = attack.attacked(step)
        torch.testing.assert_close(moved, attack.attacked(AllRows(**vars(step))))
        assert not torch.equal(moved, step.x)
        self.compared += int(not step.rows_mixed and 0 < len(step.explained_rows) < len(step.x))
        return step.data_loss(moved)


@pytest.mark.parametrize(
    "mix", [NoMix(), ItemMix(), AnnotMix(), HiddenMix(layer="features")], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize(
    "annotators", [Perfect(), AnnotMixHead(embed_dim=4), DawidSkene()], ids=lambda m: type(m).__name__
)
def test_attacking_explained_rows_alone_is_the_same(tmp_path: Path, mix: MixPolicy, annotators: AnnotatorModel) -> None:
    seed_everything(0)
    made = model([BothAttacks()], type(annotators).from_spec(annotators.spec()), group_dro=GroupDRO(0.5))
    quiet_trainer(tmp_path, max_epochs=1, precision="64-true").fit(made, module(mix))
    assert made.explanations[0].compared > 0 or isinstance(mix, HiddenMix)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize(
    "annotators", [CrowdAR(hidden_dim=4), AnnotMixHead(embed_dim=4)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("part", [PGDEx(1.0, steps=2), IBPEx(1.0), R4()], ids=lambda p: type(p).__name__)
def test_parts_ask_annotators_again_in_a_step(tmp_path: Path, part: Explanation, annotators, precision: str) -> None:
    """One keeps a parameter from being negative, the other reads features, of half precision under autocast."""
    seed_everything(0)
    made = model([part], type(annotators).from_spec(annotators.spec()))
    quiet_trainer(tmp_path, max_steps=2, precision=precision).fit(made, module())
    assert all(p.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize("step", [3, 5])  # inside an epoch of four steps
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, step: int) -> None:
    def fit(resume: Path | None = None) -> dict[str, Tensor]:
        seed_everything(3)
        made = model(EVERY, group_dro=GroupDRO(0.5))
        every = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
        quiet_trainer(
            tmp_path,
            max_epochs=3,
            callbacks=[every] if resume is None else [],
            enable_checkpointing=resume is None,
        ).fit(made, module(ItemMix()), ckpt_path=resume)
        return {name: value for name, value in made.state_dict().items() if "metrics" not in name}

    straight = fit()
    resumed = fit(tmp_path / f"step={step}.ckpt")
    assert straight["group_dro.weight"][0] != 0.5
    for name, value in straight.items():
        assert torch.equal(resumed[name], value), name


def part(items: int, seed: int) -> Batch:
    draws = torch.Generator().manual_seed(seed)
    mask = torch.rand(items, 1, SIDE, SIDE, generator=draws).round()
    mask[0] = 0
    row = torch.arange(items).repeat_interleave(2)
    return Batch(
        input=torch.rand(items, 3, SIDE, SIDE, generator=draws),
        index=torch.arange(items),
        target=torch.full((items,), -1),
        row=row,
        annotator=torch.randint(0, A, (2 * items,), generator=draws),
        label=torch.randint(0, K, (2 * items,), generator=draws),
        mask=mask,
        group=torch.randint(0, 2, (items,), generator=draws),
    )


def joined(first: Batch, second: Batch) -> Batch:
    shift = len(first.index)
    both = {
        name: torch.cat([getattr(first, name), getattr(second, name)])
        for name in ("input", "target", "annotator", "label", "mask", "group")
    }
    row = torch.cat([first.row, second.row + shift])
    return Batch(index=torch.arange(shift + len(second.index)), row=row, **both)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_processes_take_the_step_of_one(tmp_path: Path, weighted: bool) -> None:
    """With unequal batches, of which groups have unequal shares."""

    def one_step(batches: list[Batch]) -> dict[str, Tensor]:
        seed_everything(0)
        made = model(
            [RRR(1.0), PGDEx(0.5, steps=2)],
            AnnotMixHead(embed_dim=4, dropout=0.0),
            optimizer="SGD",
            lr=1.0,
            weight_decay=0.0,
            schedule="constant",
            group_dro=GroupDRO(1.0) if weighted else None,
        ).eval()
        before = {name: value.detach().clone() for name, value in made.state_dict().items()}
        ranks = {"devices": len(batches), "strategy": "ddp_fork" if len(batches) > 1 else "auto"}
        quiet_trainer(tmp_path, max_steps=1, **ranks).fit(made, GivenBatches(batches))
        return {n: before[n] - v for n, v in made.state_dict().items() if "metrics" not in n and "running" not in n}

    first, second = part(5, 0), part(3, 1)
    alone, together = one_step([joined(first, second)]), one_step([first, second])
    assert alone["backbone.net.1.weight"].abs().sum() > 0
    assert not weighted or alone["group_dro.weight"].abs().sum() > 0
    for name, change in alone.items():
        torch.testing.assert_close(together[name], change, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_perturbed_inputs_count_by_group_as_the_others_do(tmp_path: Path) -> None:
    """At radius 0 the loss and its copy are one: the step is twice that of the loss alone."""
    moves = []
    for parts in ([], [AvgEx(0.0)]):
        seed_everything(0)
        made = model(parts, group_dro=GroupDRO(5.0), optimizer="SGD", lr=1.0, weight_decay=0.0, schedule="constant")
        before = made.head.weight.detach().clone()
        quiet_trainer(tmp_path, max_steps=1).fit(made, module())
        assert (made.group_dro.weight - 0.5).abs().max() > 0.01
        moves.append(made.head.weight.detach() - before)
    torch.testing.assert_close(moves[1], 2 * moves[0])


def test_items_without_votes_make_no_group_look_better(tmp_path: Path) -> None:
    """An EMClassifier has no target for them."""
    voted = np.flatnonzero((np.arange(48) % 2 == 0) | (np.arange(48) % 8 == 1))
    votes = Annotations.build(voted, 0 * voted, voted % K, num_items=48, classes=K, annotators=A)
    seen: list[Tensor] = []

    class Seen(GroupDRO):
        def forward(self, loss: Tensor, group: Tensor) -> Tensor:
            seen.append(torch.stack([loss.detach()[group == g].mean() for g in (0, 1)]))
            return super().forward(loss, group)

    made = model([], DawidSkene(), group_dro=Seen())
    with torch.no_grad():
        made.head.weight.zero_()
        made.head.bias.zero_()
    source = module(source=replace(data(), annotations=votes))
    source.batch_size = 32  # all of them
    quiet_trainer(tmp_path, max_steps=1).fit(made, source)
    torch.testing.assert_close(seen[0], torch.full((2,), np.log(K), dtype=seen[0].dtype))


def test_masks_of_items_that_do_not_train_are_none(tmp_path: Path) -> None:
    source = data()
    assert source.masks is not None
    there = source.masks.item >= 32
    fewer = Masks(
        source.masks.item[there],
        *(getattr(source.masks, n)[there] for n in ("annotator", "picture")),
        annotators=("ann",),
        pictures=source.masks.pictures,
        num_items=48,
    )
    with pytest.raises(ConfigError, match="the training items have none"):
        quiet_trainer(tmp_path, max_steps=1).fit(model([RRR()]), module(source=replace(source, masks=fewer)))


def test_a_part_given_to_two_models_walks_the_network_of_each() -> None:
    part = IBPEx()
    one, other = model([part]), model([part])
    for made in (one, other, deepcopy(one)):
        assert made.explanations[0].propagation.network[1] is made.head


@pytest.mark.parametrize(
    ("settings", "source", "message"),
    [
        ({"explanations": [RRR()]}, data(masks=False), "model.explanations need masks"),
        ({"explanations": [], "group_dro": GroupDRO()}, data(groups=False), "the data have no groups"),
    ],
)
def test_data_that_lack_something_are_refused(tmp_path: Path, settings, source: AnnotatedData, message: str) -> None:
    made = model(**settings)
    with pytest.raises(ConfigError, match=message):
        quiet_trainer(tmp_path, max_steps=1).fit(made, module(source=source))


@pytest.mark.parametrize("part", [IBPEx(), CDEP(), R4()], ids=lambda p: type(p).__name__)
def test_walks_through_the_network_cannot_follow_a_mixed_hidden_layer(tmp_path: Path, part: Explanation) -> None:
    with pytest.raises(ConfigError, match=r"cannot follow data\.mix into the layer"):
        quiet_trainer(tmp_path, max_steps=1).fit(model([part]), module(HiddenMix(layer="features")))
    quiet_trainer(tmp_path, max_steps=1).fit(model([part]), module(AnnotMix()))


@pytest.mark.parametrize("number", [2, 3])  # as in training, and others
def test_accuracies_of_groups_are_reported(tmp_path: Path, number: int) -> None:
    seed_everything(0)
    made, source = (
        model([]),
        module(source=replace(data(), group=np.arange(48) % number, groups=("a", "b", "c")[:number])),
    )
    found = quiet_trainer(tmp_path).test(made, source, verbose=False)[0]
    rows = source.rows("test")
    right = (made(source.data.inputs.fetch(rows)).argmax(1).numpy() == source.data.target[rows]).astype(float)
    by_group = [right[source.data.group[rows] == g].mean() for g in range(number)]
    assert found["test/worst_group_acc"] == pytest.approx(min(by_group))
    assert found["test/mean_group_acc"] == pytest.approx(np.mean(by_group))
