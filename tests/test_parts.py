import importlib
import inspect
import json
import pkgutil

import pytest
import torch
from torch import nn

import hilmix
import hilmix.annotators
import hilmix.backbones
import hilmix.explanations
import hilmix.mix
from hilmix.errors import ConfigError
from hilmix.lightning_cli.parser_errors import one_sentence
from hilmix.parts import Part
from hilmix.trusted import find_class


class Shape(Part):
    def __init__(self, size: int, *, name: str = "plain", inside: "Shape | list[Shape] | None" = None) -> None:
        self.size, self.name, self.inside = size, name, inside


class Square(Shape):
    def __init__(self, size: int = 2, factor: float = 1.5) -> None:
        super().__init__(int(size * factor), name="square")


class Untouched(Shape):
    """Inherits its constructor."""


class Anything(Part):
    def __init__(self, value) -> None:
        self.value = value


class Layer(Part, nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)


def arguments(part: Part) -> dict:
    return part.spec()["init_args"]


def test_arguments_are_remembered_by_name_with_defaults():
    assert arguments(Shape(3)) == {"size": 3, "name": "plain", "inside": None}
    assert arguments(Shape(size=3, name="x")) == {"size": 3, "name": "x", "inside": None}
    assert Shape(3).spec()["class_path"].endswith(".Shape")


def test_a_subclass_is_saved_with_its_own_arguments():
    assert arguments(Square(4)) == {"size": 4, "factor": 1.5}
    assert arguments(Untouched(4)) == {"size": 4, "name": "plain", "inside": None}


@pytest.mark.parametrize("part", [Square(4), Untouched(1), Shape(1, inside=[Shape(2, inside=Square()), Square(9)])])
def test_a_part_is_rebuilt_from_plain_json(part: Shape):
    spec = json.loads(json.dumps(part.spec()))
    spec = json.loads(json.dumps(spec))
    built = Shape.from_spec(spec)
    assert type(built) is type(part)
    assert built.size == part.size


def test_a_part_passes_through():
    part = Square()
    assert Shape.from_spec(part) is part


def test_a_module_is_a_part_and_its_memory_stays_out_of_the_state_dict():
    layer = Layer(2)
    assert arguments(layer) == {"width": 2}
    assert set(layer.state_dict()) == {"linear.weight", "linear.bias"}


@pytest.mark.parametrize("value", [torch.zeros(1), object(), {1, 2}, lambda: None])
def test_an_argument_that_is_not_plain_is_refused(value):
    with pytest.raises(ConfigError, match=r"`Shape.size` must be"):
        Shape(value)
    with pytest.raises(ConfigError, match="plain value or a part"):
        Anything(value).spec()


def test_a_part_is_not_built_with_arguments_that_its_constructor_lacks():
    path = f"{Square.__module__}.Square"
    with pytest.raises(ConfigError, match=r"'sise'.*'size', 'factor'"):
        Part.from_spec({"class_path": path, "init_args": {"sise": 3}})


def test_a_constructor_of_a_subclass_of_ones_own_is_checked_too():
    with pytest.raises(ConfigError, match=r"`Untouched.size` must be a whole number, got 'x'"):
        Untouched("x")
    with pytest.raises(ConfigError, match=r"`Square.factor` must be a finite number, got nan"):
        Square(2, float("nan"))


@pytest.mark.parametrize(
    ("base", "article"),
    [
        (hilmix.annotators.AnnotatorModel, "an AnnotatorModel"),
        (hilmix.explanations.Explanation, "an Explanation"),
        (hilmix.backbones.Backbone, "a Backbone"),
        (hilmix.mix.MixPolicy, "a MixPolicy"),
    ],
)
def test_the_article_suits_the_class(base, article):
    with pytest.raises(ConfigError, match=rf"'os\.system' is not {article}\."):
        find_class("os.system", base)
    with pytest.raises(ConfigError, match=f"Expected {article} or"):
        base.from_spec("os.system")
    assert article in one_sentence(f"Import path os.system does not correspond to a subclass of {base.__name__}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"class_path": "hilmix.parts.Nothing"}, "No Shape at 'hilmix.parts.Nothing'"),
        ({"class_path": "nowhere.Shape"}, "No Shape at 'nowhere.Shape'"),
        ({"class_path": "Shape"}, "No Shape at 'Shape'"),
        ({"class_path": "hilmix.errors.ConfigError"}, "is not a Shape"),
        ({"init_args": {}}, "class_path and init_args"),
        ("Shape", "class_path and init_args"),
    ],
)
def test_a_wrong_spec_is_named(spec, message):
    with pytest.raises(ConfigError, match=message):
        Shape.from_spec(spec)


def concrete_parts() -> list[type[Part]]:
    """Every part of hilmix that can be built without arguments."""
    for found in pkgutil.walk_packages(hilmix.__path__, "hilmix."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    todo, seen = [Part], []
    while todo:
        part = todo.pop()
        todo += part.__subclasses__()
        needed = [p for p in list(inspect.signature(part).parameters.values()) if p.default is p.empty]
        if part.__module__.startswith("hilmix.") and not inspect.isabstract(part) and not needed and part is not Part:
            seen.append(part)
    return sorted(set(seen), key=lambda part: part.__qualname__)


def test_every_part_of_hilmix_survives_a_checkpoint(tmp_path):
    parts = concrete_parts()
    assert len(parts) > 5
    for part in parts:
        torch.save(part().spec(), tmp_path / "part.pt")
        spec = torch.load(tmp_path / "part.pt", weights_only=True)
        assert Part.from_spec(spec).spec() == spec
