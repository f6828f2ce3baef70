"""Parts in loops of a user's own: the page's code as it stands, sizes as plain arguments, generators of torch."""

import re
from inspect import signature

import numpy as np
import pytest
import torch

import hilmix.annotators
from hilmix import AnnotatorModel, CrowdLayer, ItemMix, TraceReg
from hilmix.errors import ConfigError
from hilmix.functional.mixing import draw_partners, draw_weights
from hilmix.types import Batch
from tests.helpers import ROOT

PAGE = (ROOT / "docs" / "own_loop.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
MODELS = [
    getattr(hilmix.annotators, n) for n in hilmix.annotators.__all__ if n not in ("AnnotatorModel", "AnnotatorOutput")
]
SIZES = {"num_features": 6, "num_classes": 3, "num_annotators": 4}


@pytest.mark.parametrize("code", BLOCKS, ids=["arguments", "pytorch", "lightning", "generators"])
def test_the_code_of_the_page_runs_and_learns(code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = torch.random.get_rng_state()
    exec(compile(code, "own_loop.md", "exec"), {"__name__": "own_loop"})
    torch.random.set_rng_state(state)
    shown = re.findall(r"accuracy (\d\.\d\d)", capsys.readouterr().out)
    assert all(float(share) > 0.9 for share in shown)
    assert len(shown) == ("accuracy" in code)
    assert len(code.strip().splitlines()) <= 40


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_sizes_in_the_constructor_build_the_same(model):
    torch.manual_seed(0)
    given = model(**SIZES)
    torch.manual_seed(0)
    built = model().build(**SIZES)
    assert given.state_dict().keys() == built.state_dict().keys()
    assert all(torch.equal(value, built.state_dict()[name]) for name, value in given.state_dict().items())
    assert given.spec() == model().spec()
    assert not set(SIZES) & set(signature(model).parameters)
    output, _ = given.eval()(torch.zeros(2, 6), torch.zeros(2, 3).log_softmax(-1), torch.tensor([0, -1]))
    assert output.shape == (2, 3)


def test_settings_and_sizes_go_together():
    model = TraceReg(0.5, num_classes=2, num_annotators=3, num_features=4)
    assert model.spec()["init_args"]["weight"] == 0.5
    assert model.logits.shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_classes": 5, "num_annotators": 40}, "`num_features` must be given with num_classes, num_annotators"),
        (SIZES | {"num_classes": 0}, "`CrowdLayer.num_classes` must be >= 1, got 0"),
        (SIZES | {"num_annotators": 2.5}, "`CrowdLayer.num_annotators` must be a whole number"),
    ],
)
def test_sizes_that_do_not_do_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        CrowdLayer(**settings)


def test_an_unknown_setting_in_a_specification_is_still_refused():
    spec = {"class_path": "hilmix.annotators.TraceReg", "init_args": {"depth": 3}}
    with pytest.raises(ConfigError, match="depth"):
        AnnotatorModel.from_spec(spec)


def test_a_generator_of_torch_draws_the_same_from_the_same_seed():
    votes = {
        "row": torch.arange(6),
        "annotator": torch.zeros(6, dtype=torch.long),
        "label": torch.zeros(6, dtype=torch.long),
    }
    batch = Batch(input=torch.randn(6, 4), index=torch.arange(6), target=torch.full((6,), -1), **votes)
    before = torch.random.get_rng_state()

    def draw(seed, times=1):
        generator = torch.Generator().manual_seed(seed)
        return [ItemMix(alpha=1.0)(batch, generator).plan for _ in range(times)]

    one, two = draw(0, 2)
    again, other = draw(0)[0], draw(1)[0]
    assert torch.equal(one.weight, again.weight)
    assert torch.equal(one.partner, again.partner)
    assert not torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_draws_of_a_torch_generator_have_the_distribution():
    generator = torch.Generator().manual_seed(0)
    weight = draw_weights(20_000, 0.5, generator)
    # mean and variance of Beta(a, a): 1/2 and 1 / (4 (2 a + 1))
    assert weight.mean() == pytest.approx(0.5, abs=0.01)
    assert weight.var() == pytest.approx(1 / 8, abs=0.005)
    assert sorted(draw_partners(7, generator).tolist()) == list(range(7))
    numpy = np.random.default_rng(3)
    expected = np.random.default_rng(3).permutation(7).tolist()
    assert draw_partners(7, numpy).tolist() == expected
