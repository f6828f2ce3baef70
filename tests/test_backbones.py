"""Every kind of backbone under one calling convention."""

import re

import jsonargparse
import numpy as np
import pytest
import torch
from torch import nn

from hilmix.annotators import AnnotMixHead
from hilmix.backbones import MLP, Backbone, ReadyFeatures, TimmBackbone, default_backbone, without_pretrained
from hilmix.errors import ConfigError
from hilmix.functional.losses import annotation_nll
from hilmix.mix import AnnotMix, HiddenMix
from hilmix.modules import Classifier, CrowdModel
from hilmix.modules.optimization import DEFAULT_RATES
from hilmix.timm_networks import common_patch
from hilmix.types import Batch, MixPlan

SMALL = ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"]
FAMILIES = [
    *SMALL,
    "regnetx_002",
    "mobilenetv3_small_050",
    "repvgg_a0",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "densenet121",
            "resnet18",
            "resnet50",
            "convnext_atto",
            "vit_tiny_patch16_224",
            "efficientnet_lite0",
            "deit_tiny_patch16_224",
            "wide_resnet50_2",
        )
    ),
]


def built(name: str, shape: tuple[int, ...] = (3, 32, 32)) -> Backbone:
    torch.manual_seed(0)
    return TimmBackbone(name).build(shape)


def images(rows: int, shape: tuple[int, ...] = (3, 32, 32)) -> torch.Tensor:
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(1))


def batch_of(rows: int, pairs: int) -> Batch:
    return Batch(
        input=images(rows),
        index=torch.arange(rows),
        target=torch.full((rows,), -1),
        row=torch.arange(pairs) % rows,
        annotator=torch.arange(pairs) % 2,
        label=torch.arange(pairs) % 3,
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str) -> None:
    """Features are finite and as wide as announced, gradients reach every parameter, every named layer can be mixed."""
    backbone = built(name)
    x = images(4)
    features = backbone(x)
    assert features.shape == (4, backbone.num_features)
    assert features.isfinite().all()
    (features * torch.randn_like(features)).sum().backward()
    assert not [n for n, p in backbone.named_parameters() if p.grad is None]

    backbone.eval()
    plan = MixPlan(torch.tensor([1, 2, 3, 0]), torch.full((4,), 0.5))
    layers = backbone.hidden_layers
    assert layers
    with torch.no_grad():
        plain = backbone(x)
        for layer in layers:
            with backbone.mixing_at(plan._replace(layer=layer)):
                mixed = backbone(x)
            assert mixed.isfinite().all()
            assert not torch.equal(mixed, plain), layer
            with backbone.mixing_at(plan._replace(layer=layer, weight=torch.zeros(4))):  # a swap of rows, exactly
                torch.testing.assert_close(backbone(x), plain[plan.partner], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(backbone(x), plain)  # no hook is left behind


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_of_one_row_trains(name: str) -> None:
    """Batch norm then uses its running statistics; loss and gradients are finite, and the mode is given back."""
    model = Classifier(3, 2, [3, 32, 32], TimmBackbone(name), AnnotMixHead(embed_dim=4)).train()
    batch = AnnotMix()(batch_of(1, 1), np.random.default_rng(0))
    output = model.forward_batch(batch).annotator_output
    loss = annotation_nll(output.label_log_probs, batch.label, None, batch.row, batch.plan).sum()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert all(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def map_sides(backbone: Backbone, shape: tuple[int, ...]) -> list[int]:
    """Positions along one side of every feature map (or tokens of a transformer) on the way."""
    sizes: list[int] = []

    def note(_module: nn.Module, _args: object, out: torch.Tensor) -> None:
        sizes.append(out.shape[-1] if out.ndim == 4 else round(out.shape[1] ** 0.5))

    hooks = [backbone.net.get_submodule(name).register_forward_hook(note) for name in backbone.hidden_layers]
    with torch.no_grad():
        backbone.eval()(images(1, shape))
    for hook in hooks:
        hook.remove()
    return sizes


@pytest.mark.parametrize("name", FAMILIES)
def test_small_images_keep_more_resolution(name: str) -> None:
    """At 32 px the last map is at least as large, relative to the image, as twice that of the network at 64 px."""
    if "vit" in str(name) or "deit" in str(name):
        pytest.skip("a transformer's maps are of one size; see the test of its tokens")
    small, large = map_sides(built(name), (3, 32, 32)), map_sides(built(name, (3, 64, 64)), (3, 64, 64))
    assert small[0] >= large[0]
    assert small[-1] >= large[-1]
    assert small[-1] > 32 / 32  # stride 32 would leave one position


def test_a_transformer_gets_smaller_patches() -> None:
    assert tuple(built("test_vit").net.patch_embed.grid_size) == (8, 8)


def test_a_resnet_gets_the_stem_for_small_images() -> None:
    net = built("test_resnet").net
    assert net.conv1.kernel_size == (3, 3)
    assert net.conv1.stride == (1, 1)
    assert isinstance(net.maxpool, nn.Identity)
    assert built("test_resnet", (3, 64, 64)).net.conv1 is not None
    assert not isinstance(built("test_resnet", (3, 64, 64)).net.maxpool, nn.Identity)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (4, 16, 16), (3, 24, 32), (1, 33, 47)], ids=str)
def test_odd_channels_and_sizes(name: str, shape: tuple[int, ...]) -> None:
    if name == "test_vit" and shape == (1, 33, 47):
        with pytest.raises(ConfigError, match="cannot take inputs"):
            built(name, shape)
        return
    backbone = built(name, shape)
    assert backbone(images(2, shape)).shape == (2, backbone.num_features)


def test_wrong_name_is_answered_with_close_ones() -> None:
    with pytest.raises(ConfigError, match=r"no model 'resnet19'; close names are \[.*'resnet18'"):
        built("resnet19")


def test_wrong_argument_is_named() -> None:
    with pytest.raises(ConfigError, match="stem_wdith"):
        TimmBackbone("test_resnet", kwargs={"stem_wdith": 3}).build((3, 32, 32))


def test_a_vector_input_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"shape \(7,\).*MLP or ReadyFeatures"):
        TimmBackbone("test_resnet").build((7,))


def test_an_unknown_layer_is_answered_with_those_there_are() -> None:
    model = Classifier(3, 2, [3, 32, 32], TimmBackbone("test_resnet"))
    batch = HiddenMix(layer="layer9")(batch_of(4, 4), np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"no layer 'layer9'; it has \['act1', 'layer1'.*'features'"):
        model.forward_batch(batch)


def test_the_hook_is_removed_when_the_forward_pass_fails() -> None:
    backbone = built("test_resnet").eval()
    x = images(2)
    plain = backbone(x)
    with pytest.raises(RuntimeError), backbone.mixing_at(MixPlan(torch.tensor([1, 0]), torch.zeros(2), layer="layer1")):
        backbone(torch.randn(2, 5, 32, 32))
    torch.testing.assert_close(backbone(x), plain)


def test_timm_arguments_of_the_user_come_first() -> None:
    backbone = TimmBackbone("test_vit", kwargs={"patch_size": 8}).build((3, 32, 32))
    assert tuple(backbone.net.patch_embed.grid_size) == (4, 4)


def test_mlp() -> None:
    backbone = MLP([7, 5], dropout=0.0).build((3, 2, 2))
    assert backbone.num_features == 5
    x = images(4, (3, 2, 2))
    first, second = backbone.net[1], backbone.net[4]
    torch.testing.assert_close(backbone(x), second(first(x.flatten(1)).relu()).relu())
    assert MLP().build((9,)).num_features == 128


def normalised(x: torch.Tensor) -> torch.Tensor:
    """By the definition of batch norm as it starts: each column less its mean, over its deviation."""
    return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()


def test_mlp_normalises_before_each_relu() -> None:
    backbone = MLP([7, 5], dropout=0.0, norm="batch").build((3, 2, 2))
    x = images(6, (3, 2, 2))
    first, second = (layer for layer in backbone.net if isinstance(layer, nn.Linear))
    expected = normalised(second(normalised(first(x.flatten(1))).relu())).relu()
    torch.testing.assert_close(backbone(x), expected)
    # torch's momentum of 0.1: the running mean starts at 0
    torch.testing.assert_close(backbone.net[2].running_mean, 0.1 * first(x.flatten(1)).mean(0))
    assert [type(layer) for layer in MLP([7]).build((4,)).net] == [nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout]


def test_mlp_normalises_a_mixed_batch_by_its_mixed_rows() -> None:
    backbone = MLP([4], dropout=0.0, norm="batch")
    model = Classifier(3, 2, [5], backbone, AnnotMixHead(embed_dim=4)).train()
    rng = np.random.default_rng(0)
    plain = batch_of(6, 9)._replace(input=torch.randn(6, 5))
    batch = AnnotMix()(plain, rng)
    assert len(batch.input) == 9
    model.forward_batch(batch)
    weight, partner = batch.plan.weight[:, None], batch.plan.partner
    rows = plain.input[plain.row]
    mixed = weight * rows + (1 - weight) * rows[partner]
    torch.testing.assert_close(backbone.net[2].running_mean, 0.1 * backbone.net[1](mixed).mean(0))


def test_mlp_with_norm_trains_on_one_row_by_running_statistics() -> None:
    model = CrowdModel(3, 2, [5], MLP([4], dropout=0.0, norm="batch")).train()
    norm = model.backbone.net[2]
    norm.running_mean.fill_(0.5)
    norm.running_var.fill_(4.0)
    x = torch.randn(1, 5)
    model.loss(batch_of(1, 1)._replace(input=x)).backward()
    torch.testing.assert_close(
        model.features(x), ((model.backbone.net[1](x) - 0.5) / (4.0 + 1e-5) ** 0.5).relu(), rtol=1e-5, atol=1e-6
    )
    assert norm.training
    assert norm.num_batches_tracked == 0
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_mlp_refuses_another_norm() -> None:
    with pytest.raises(ConfigError, match=r"`MLP\.norm` .*'layer'"):
        MLP(norm="layer")


@pytest.mark.parametrize("hidden", [[], [0], [8, -1]])
def test_mlp_widths_are_checked(hidden: list[int]) -> None:
    with pytest.raises(ConfigError, match="hidden"):
        MLP(hidden)


def test_mlp_layers_can_be_mixed() -> None:
    backbone = MLP([7, 5], dropout=0.0).build((6,))
    with (
        pytest.raises(ConfigError, match="no layer 'layer1'"),
        backbone.mixing_at(MixPlan(torch.tensor([0]), torch.ones(1), layer="layer1")),
    ):
        pass
    assert {"1", "4"} <= set(backbone.hidden_layers)


def test_ready_features_are_the_inputs() -> None:
    backbone = ReadyFeatures().build((3, 2, 2))
    x = images(4, (3, 2, 2))
    assert torch.equal(backbone(x), x.flatten(1))
    assert backbone.num_features == 12
    assert not list(backbone.parameters())


def test_default_backbone_follows_the_kind_of_input() -> None:
    vectors, small = default_backbone((20,)).build((20,)), default_backbone((3, 32, 32)).build((3, 32, 32))
    assert isinstance(vectors, MLP)
    assert isinstance(small, TimmBackbone)
    assert [backbone.input_kind for backbone in (vectors, small)] == ["vectors", "images"]
    for backbone in (vectors, small):
        assert any(isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) for layer in backbone.modules())


@pytest.mark.parametrize(("backbone", "shape"), [(None, [4]), (MLP([3]), [1, 2, 2]), (ReadyFeatures(), [4])])
def test_the_default_rate_is_that_of_the_kind_of_input(backbone: Backbone | None, shape: list[int]) -> None:
    model = Classifier(3, 2, shape, backbone)
    assert (model.lr, model.optimization.lr_scaling) == DEFAULT_RATES["vectors"]
    assert (model.hparams["lr"], model.hparams["lr_scaling"]) == DEFAULT_RATES["vectors"]
    given = Classifier(3, 2, shape, backbone, lr=0.5)
    assert (given.lr, given.optimization.lr_scaling) == (0.5, "none")
    scaled = Classifier(3, 2, shape, backbone, lr_scaling="fan-in")
    assert (scaled.lr, scaled.optimization.lr_scaling) == (DEFAULT_RATES["vectors"].lr, "fan-in")


@pytest.mark.parametrize(
    "backbone", [TimmBackbone("test_resnet"), MLP([3]), ReadyFeatures()], ids=lambda b: str(b.spec())
)
def test_spec_round_trip(backbone: Backbone) -> None:
    again = Backbone.from_spec(backbone.spec())
    assert type(again) is type(backbone)
    assert again.spec() == backbone.spec()


def test_weights_of_a_file_bring_their_own_scaling(tmp_path, caplog) -> None:
    """As pretrained weights do that are fetched from the hub; the classifier takes the scaling over."""
    source = built("test_resnet", (3, 64, 64))
    torch.save(source.net.state_dict(), tmp_path / "weights.pth")
    overlay = {"file": str(tmp_path / "weights.pth"), "num_classes": 0, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    backbone = TimmBackbone("test_resnet", pretrained=True, kwargs={"pretrained_cfg_overlay": overlay})
    model = Classifier(3, 2, [3, 64, 64], backbone, schedule="constant")
    torch.testing.assert_close(model.input_mean, torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(model.input_std, torch.tensor([0.4, 0.5, 0.6]))
    for name, value in source.net.state_dict().items():
        assert torch.equal(backbone.net.state_dict()[name], value), name
    caplog.clear()
    model.configure_optimizers()
    assert not caplog.text, "a plain learning rate is the user's business"
    assert (model.lr, model.optimization.lr_scaling) == DEFAULT_RATES["pretrained"]
    Classifier(3, 2, [3, 64, 64], backbone, schedule="constant", lr_scaling="fan-in").configure_optimizers()
    assert "lr_scaling fan-in with lr 0.0003 is for random weights" in caplog.text


def test_weights_that_a_pretrained_file_lacks_are_reported(tmp_path, caplog) -> None:
    whole = TimmBackbone("test_resnet").build((3, 48, 48)).net.state_dict()
    lacking = {name: value for name, value in whole.items() if name != "conv1.0.weight" and name != "conv1.weight"}
    assert len(lacking) == len(whole) - 1
    for name, weights in (("whole", whole), ("lacking", lacking)):
        torch.save(weights, tmp_path / f"{name}.pth")
        overlay = {"pretrained_cfg_overlay": {"file": str(tmp_path / f"{name}.pth")}}
        caplog.clear()
        TimmBackbone("test_resnet", pretrained=True, kwargs=overlay).build((3, 48, 48))
        assert ("Missing keys" in caplog.text) == (name == "lacking")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "argument",
    [{"features_only": True}, {"out_indices": [1]}, {"num_classes": 3}, {"in_chans": 1}, {"pretrained": True}],
    ids=str,
)
def test_arguments_that_break_the_contract_are_refused_at_once(name: str, argument: dict) -> None:
    with pytest.raises(ConfigError, match=rf"`TimmBackbone\.kwargs\.{next(iter(argument))}` must be left out"):
        TimmBackbone(name, kwargs=argument)


@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_without_pooling_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"'global_pool': ''.* one vector per image.*got \(1, \d+, \d+"):
        TimmBackbone(name, kwargs={"global_pool": ""}).build((3, 32, 32))


ODD = [
    "global_pool",
    "drop_rate",
    "act_layer",
    "norm_layer",
    "patch_size",
    "img_size",
    "embed_dim",
    "output_stride",
    "checkpoint_path",
    "pretrained_cfg",
    "stem_width",
    "num_heads",
    "drop_path_rate",
    "block_fn",
]


@pytest.mark.parametrize("argument", ODD)
def test_no_argument_of_timm_ends_in_another_error_or_in_maps(argument: str) -> None:
    for name in SMALL:
        for value in ("nope", 0, -1, 2, [1, 2], {}):
            try:
                backbone = TimmBackbone(name, kwargs={argument: value}).build((3, 32, 32))
            except ConfigError:
                continue
            assert backbone.eval()(images(2)).shape == (2, backbone.num_features)


@pytest.mark.parametrize(
    "sides", [(a, b) for a in range(8, 33, 3) for b in (a, 24, 32) if b >= a] + [(25, 25), (28, 28), (32, 16)]
)
def test_a_patch_divides_both_sides_or_the_size_is_refused(sides: tuple[int, int]) -> None:
    """By brute force: of all patches that divide both and give 4 to 16 along the shorter side, as near to 8 as any."""
    shorter = min(sides)
    fits = [p for p in range(1, 33) if sides[0] % p == sides[1] % p == 0 and 4 <= shorter / p <= 16]
    ratios = {p: max(shorter / p / 8, 8 * p / shorter) for p in fits}
    best = [p for p in fits if ratios[p] == min(ratios.values())]
    assert common_patch(sides) in (best or [None])


@pytest.mark.parametrize("sides", [(31, 31), (29, 32), (23, 30)])
def test_a_transformer_is_not_made_with_patches_of_one_pixel(sides: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=r"patch.*data\.image_size.*dynamic_img_pad"):
        TimmBackbone("test_vit").build((3, *sides))
    padded = {"patch_size": 4, "dynamic_img_size": True, "dynamic_img_pad": True}  # the remedy of the message
    backbone = TimmBackbone("test_vit", kwargs=padded).build((3, *sides))
    assert backbone.eval()(images(2, (3, *sides))).shape == (2, backbone.num_features)


@pytest.mark.parametrize("sides", [(50, 50), (48, 40)])
def test_a_transformer_for_other_sizes_names_what_to_set(sides: tuple[int, int]) -> None:
    with pytest.raises(ConfigError) as refused:
        TimmBackbone("test_vit").build((3, *sides))
    remedy = re.search(r"img_size: \[(\d+), (\d+)\], patch_size: (\d+)", str(refused.value))
    assert remedy is not None
    height, width, patch = map(int, remedy.groups())
    assert (height, width) == sides
    backbone = TimmBackbone("test_vit", kwargs={"img_size": [height, width], "patch_size": patch}).build((3, *sides))
    assert tuple(backbone.net.patch_embed.grid_size) == (height // patch, width // patch)
    assert sides[0] % patch == sides[1] % patch == 0


# -- checkpoints -----------------------------------------------------------------------------------------------------


def test_pretrained_weights_are_not_fetched_for_a_checkpoint() -> None:
    """As a map, which a checkpoint holds, and as the namespace of a parsed command line."""
    given = {"class_path": "hilmix.backbones.TimmBackbone", "init_args": {"name": "test_vit", "pretrained": True}}
    expected = {**given, "init_args": {"name": "test_vit", "pretrained": False}}
    assert without_pretrained(given) == expected
    assert given["init_args"]["pretrained"] is True
    assert without_pretrained(jsonargparse.dict_to_namespace(given)).as_dict() == expected


@pytest.mark.parametrize("spec", [None, MLP(), {"class_path": "hilmix.backbones.MLP"}, {"init_args": {"hidden": [8]}}])
def test_other_backbones_stay_as_they_are_for_a_checkpoint(spec) -> None:
    assert without_pretrained(spec) is spec
