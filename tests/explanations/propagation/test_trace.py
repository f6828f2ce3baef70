"""What can be walked and what is refused, with the layer's name."""

import pytest
import torch
from torch import Tensor, nn

from hilmix.backbones import TimmBackbone
from hilmix.errors import ConfigError
from hilmix.explanations.propagation import Propagation


class Plain(nn.Module):
    """Calls a function of its layers' output."""

    def __init__(self, function) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.inner(x))


class Doubled(nn.Linear):
    """A layer of a known kind that does something else."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.GELU()), r"no rule for the layer '1' \(GELU\); there are rules for Linear"),
        (nn.Sequential(nn.Sequential(nn.LayerNorm(4))), r"the layer '0.0' \(LayerNorm\)"),
        (nn.GELU(), r"the network itself \(GELU\)"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect")), r"'0' \(Conv2d\): it has padding_mode 'reflect'"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), r"'0' \(BatchNorm2d\): .* no running statistics"),
        (nn.Sequential(nn.LeakyReLU(-0.5)), r"'0' \(LeakyReLU\): it has negative_slope -0.5"),
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), r"'0' \(MaxPool2d\): it returns indices"),
        (nn.Sequential(nn.MultiheadAttention(4, 1)), r"'0' \(MultiheadAttention\)"),
        (Plain(torch.sin), r"the network itself \(Plain\): it uses sin"),
        (nn.Sequential(Plain(lambda x: x.abs())), r"the layer '0' \(Plain\): it uses abs"),
        (Plain(lambda x: x + 1), r"it uses add, but not as the rule for it"),
        (Plain(lambda x: torch.add(x, x, alpha=-1)), r"it uses add, but not"),
        (Plain(lambda x: torch.flatten(x)), r"it uses flatten, but not"),
        (nn.Sequential(Plain(lambda x: x if x.sum() > 0 else -x)), r"the layer '0' \(Plain\): it cannot be traced"),
        (nn.Sequential(Doubled(4, 4)), r"the layer '0' \(Doubled\)"),
        (Plain(lambda x: (x, x)), "has to return one tensor"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_has_no_rule_is_refused_by_name(network, message):
    with pytest.raises(ConfigError, match=message):
        Propagation(network)


@pytest.mark.parametrize(
    ("name", "layer"), [("vit_tiny_patch16_224", "PatchEmbed"), ("test_convnext", "LayerNorm2d"), ("test_vit", "Vis")]
)
def test_transformers_and_convnext_are_refused(name, layer):
    backbone = TimmBackbone(name).build((3, 32, 32))
    with pytest.raises(ConfigError, match=rf"'0[\w.]*' \({layer}\w*\): .*ResNets"):
        Propagation(nn.Sequential(backbone.net, nn.Linear(backbone.num_features, 2)))


def test_a_refused_network_is_left_in_its_mode():
    network = nn.Sequential(nn.Dropout(), nn.GELU()).train()
    with pytest.raises(ConfigError):
        Propagation(network)
    assert all(layer.training for layer in network.modules())


def test_checks_of_shapes_do_not_count():
    def checked(x: Tensor) -> Tensor:
        torch._assert(x.shape[1] == 4, "width")
        return x.relu()

    network = Plain(checked)
    x = torch.randn(2, 4)
    torch.testing.assert_close(Propagation(network).bounds(x, x).lower, network(x))
