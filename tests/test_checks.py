"""Settings out of range, of another type or not finite: one sentence from every constructor, nothing accepted."""

import importlib
import inspect
import math
import pkgutil
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import pytest

import hilmix
from hilmix.checks import (
    NonNegative,
    NonNegativeInt,
    OpenShare,
    Positive,
    PositiveInt,
    Range,
    Rate,
    Share,
    check_settings,
    check_value,
)
from hilmix.data import AnnotatedDataModule
from hilmix.errors import ConfigError, HilmixError
from hilmix.modules import CCCClassifier, Classifier, ELRClassifier, EMClassifier
from hilmix.parts import Part

NAN, INF = math.nan, math.inf
FITS: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [0, -3, 10**12], [10**400, 1.0, True, "1", None, NAN]),
    (float, [0, -0.5, 3], [10**400, NAN, INF, -INF, "1.0", False, None, [1.0]]),
    (bool, [True, False], [0, 1, "true", None]),
    (str, ["", "a"], [1, None, True, ["a"]]),
    (PositiveInt, [1, 7], [0, -1, 1.5, NAN, "3"]),
    (NonNegativeInt, [0, 7], [-1, 0.0]),
    (Positive, [1e-9, 3], [0, -1.0, NAN, INF]),
    (NonNegative, [0, 0.5], [-1e-9, NAN, INF]),
    (Share, [0, 1, 0.5], [-0.1, 1.1, NAN]),
    (OpenShare, [0.5, 1e-9], [0, 1, 1.0, -1, NAN]),
    (Rate, [0, 0.999], [1, 1.0, -0.1]),
    (PositiveInt | None, [None, 1], [0, "x", NAN]),
    (Literal["a", 1], ["a", 1], ["b", True, 1.0, None]),
    (list[PositiveInt], [[], [1, 2], (3,)], [[0], [1, "x"], "12", 3, {1: 2}, None]),
    (Sequence[Sequence[float]], [[[1.0], [2]]], [[1.0], [[NAN]], [["a"]], "ab"]),
    (tuple[Share, Share], [(0, 1), [0.5, 0.5]], [(0,), (0, 1, 1), (0, 2), 0.5]),
    (tuple[int, ...], [(), (1, 2)], [("a",)]),
    (dict[str, Any], [{}, {"a": object()}], [[], "a", 3, None]),
    (Part | None, [None, Part(), {"class_path": "a.B"}], ["Part", 3, {}, Part]),
    (Any, [None, NAN, object()], []),
]


@pytest.mark.parametrize(("hint", "good", "bad"), FITS, ids=[str(hint) for hint, _, _ in FITS])
def test_a_value_fits_its_annotation_or_is_refused(hint: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        check_value("x", value, hint)
    for value in bad:
        with pytest.raises(ConfigError, match="`x") as refused:
            check_value("x", value, hint)
        assert "must be" in str(refused.value)
        assert str(refused.value).count("\n") == 0


def test_the_sentence_names_setting_bound_and_value() -> None:
    def init(self: object, workers: NonNegativeInt = 0, widths: list[PositiveInt] | None = None) -> None: ...

    with pytest.raises(ConfigError) as refused:
        check_settings("data", init, {"workers": -1})
    assert str(refused.value) == "`data.workers` must be >= 0, got -1."
    with pytest.raises(ConfigError, match=r"`data.widths\[1\]` must be >= 1, got 0"):
        check_settings("data", init, {"widths": [3, 0]})
    check_settings("data", init, {"workers": 0, "widths": None, "unknown": -1})


def test_a_range_says_its_bounds_and_remedy() -> None:
    texts = [str(r) for r in (Range(1), Range(0, above=True), Range(0, 1), Range(0, 1, above=True, below=True))]
    assert texts == [">= 1", "> 0", "in [0, 1]", "in (0, 1)"]
    with pytest.raises(ConfigError, match=r"got 0\. Use another\.$"):
        check_value("x", 0, typing.Annotated[float, Range(0, above=True, remedy="Use another.")] | None)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ConfigError) as refused:
        check_value("x", list(range(10**5)), str)
    assert len(str(refused.value)) < 300


# -- every part ------------------------------------------------------------------------------------------------------


def all_parts() -> list[type[Part]]:
    for found in pkgutil.walk_packages(hilmix.__path__, "hilmix."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    todo, seen = [Part], set()
    while todo:
        part = todo.pop()
        todo += part.__subclasses__()
        if part.__module__.startswith("hilmix.") and not inspect.isabstract(part) and part is not Part:
            seen.add(part)
    return sorted(seen, key=lambda part: part.__qualname__)


def hints_of(part: type) -> dict[str, Any]:
    """Annotations of the constructor that counts, unwrapped, without those that ``Part`` adds."""
    for base in part.__mro__:
        if "__init__" in base.__dict__ and (base is part or issubclass(base, Part)):
            return typing.get_type_hints(inspect.unwrap(base.__init__), include_extras=True)
    return {}


def arguments_of(part: type) -> list[str]:
    skip = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, p in inspect.signature(part).parameters.items() if p.kind not in skip]


POLICY = {"class_path": "hilmix.human.perception.GlobalCurve"}
NEEDED: dict[str, dict[str, Any]] = {
    "EntropyPenalty": {"weight": 1.0},
    "PriorPenalty": {"weight": 1.0},
    "OffEndpoints": {"policy": POLICY},
    "ConfidenceSmoothing": {"policy": POLICY},
    "UniformSmoothing": {"policy": POLICY, "share": 0.1},
    "ClassStrengths": {"strengths": [0.0, 1.0], "slope": 1.0},
    "LabelPairs": {"offsets": [[0.0, 1.0], [-1.0, 0.0]], "slopes": [[1.0, 1.0], [1.0, 1.0]]},
    "LearnedPerception": {"strengths": [0.0, 1.0], "slope": 1.0, "image_weights": [1.0]},
    "ImageTable": {"id1": [0], "id2": [1], "weight": [0.5], "seen": [0.5]},
    "ParticipantCurves": {"participants": ["a"], "slopes": [1.0], "slope": 1.0},
    "MixFeaturePerception": {
        "strengths": [0.0, 1.0],
        "slope": 1.0,
        "image_weights": [1.0],
        "look_weights": [1.0] * 3,
        "blocks": [1],
        "mean": [0.0],
        "scale": [1.0],
        "classifier": [[1.0, 1.0], [1.0, 1.0]],
    },
    "SavedPerception": {"file": "nowhere.json"},
}
"""Arguments that have no default."""
OUT_OF_RANGE: dict[str, list[Any]] = {
    "AnnotMix.alpha": [0, -1],
    "AnnotMix.max_pairs_per_item": [0, -1],
    "AnnotMixHead.dropout": [-0.1, 1, 2],
    "AnnotMixHead.embed_dim": [0, -1],
    "AnnotMixHead.eta": [0, 1, -1, 2],
    "Aggregated.seed": [-1],
    "AvgEx.radius": [-1],
    "AvgEx.weight": [-1],
    "CDEP.weight": [-1],
    "ClassStrengths.slope": [],
    "CoNAL.embed_dim": [0, -1],
    "CoNAL.weight": [-1],
    "ConfidenceSmoothing.a": [0, -1],
    "ConfidenceSmoothing.b": [0, -1],
    "ConfusionMatrices.diagonal": [],
    "ConfusionMatrices.off_diagonal": [],
    "CrowdAR.hidden_dim": [0, -1],
    "CrowdAR.weight": [-0.1, 1.1],
    "CutMix.alpha": [0, -1],
    "DawidSkene.dependence": [-0.1, 1.1],
    "DawidSkene.eta": [0, 1],
    "DawidSkene.prototypes": [-1],
    "DawidSkene.strength": [0, -1],
    "EntropyPenalty.weight": [],
    "GCE.q": [0, -1, 1.1],
    "GeoRegW.diagonal": [],
    "GeoRegW.off_diagonal": [],
    "GeoRegW.weight": [-1],
    "GroupDRO.step": [-1],
    "HiddenMix.alpha": [0, -1],
    "HumanMix.alpha": [0, -1],
    "IBPEx.alpha": [-0.1, 1.1],
    "IBPEx.radius": [-1],
    "IBPEx.radius_start": [-1],
    "ItemMix.alpha": [0, -1],
    "LabelFusion.hidden_dim": [0, -1],
    "LabelFusion.permutations": [0, -1],
    "LabelFusion.weight": [-1],
    "LabelSmoothing.share": [-0.1, 1],
    "LearnedPerception.dispersion": [-1],
    "LearnedPerception.slope": [],
    "MixFeaturePerception.dispersion": [-1],
    "MixFeaturePerception.slope": [],
    "MLP.dropout": [-0.1, 1],
    "MaDL.embed_dim": [0, -1],
    "MaDL.eta": [0, 1],
    "OffEndpoints.middle": [-0.1, 1.1],
    "OffEndpoints.power": [0, -1],
    "PGDEx.radius": [-1],
    "PGDEx.steps": [0, -1],
    "PGDEx.weight": [-1],
    "ParticipantCurves.offset": [],
    "ParticipantCurves.slope": [],
    "PriorPenalty.weight": [-1],
    "R4.radius": [-1],
    "R4.weight": [-1],
    "RRR.weight": [-1],
    "Tempered.temperature": [0, -1],
    "TraceReg.diagonal": [],
    "TraceReg.off_diagonal": [],
    "TraceReg.weight": [-1],
    "UniformSmoothing.share": [-0.1, 1.1],
    "UnionNet.eps": [-0.1, 1],
    "VolumePenalty.weight": [-1],
}
"""What a number must not be; every number of every part stands here."""
ODD = [
    None,
    True,
    0,
    -1,
    1,
    10**30,
    10**400,
    0.5,
    -0.5,
    1.5,
    NAN,
    INF,
    -INF,
    1e308,
    "",
    "x",
    "auto",
    [],
    [0],
    [-1],
    [NAN],
    ["x"],
    [[]],
    [None],
    {},
    {"class_path": 3},
    {"class_path": "x"},
    {"class_path": ""},
    {"a": 1},
    (),
    object(),
    b"x",
]
PARTS = all_parts()


def number_in(hint: Any) -> bool:
    members = typing.get_args(hint)
    return hint in (int, float) or any(
        number_in(m) for m in members if typing.get_origin(hint) not in (list, Sequence, tuple, dict, Literal)
    )


def accepted(build: Callable[..., Any], name: str, value: Any) -> bool:
    """Whether the constructor takes the value; any error but HilmixError fails the test."""
    try:
        build(**{name: value})
    except HilmixError:
        return False
    return True


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__qualname__)
def test_no_argument_of_a_part_ends_in_another_error(part: type[Part]) -> None:
    build = partial(part, **NEEDED.get(part.__qualname__, {}))
    for name in arguments_of(part):
        for value in ODD:
            accepted(build, name, value)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__qualname__)
def test_no_number_of_a_part_is_nonsense(part: type[Part]) -> None:
    build = partial(part, **NEEDED.get(part.__qualname__, {}))
    hints = hints_of(part)
    assert set(arguments_of(part)) <= set(hints), "an argument without an annotation is not checked"
    for name in arguments_of(part):
        if not number_in(hints[name]):
            continue
        wrong = [NAN, INF, -INF, "1", True, [1], *OUT_OF_RANGE[f"{part.__qualname__}.{name}"]]
        took = [value for value in wrong if accepted(build, name, value)]
        assert not took, f"{part.__qualname__}.{name} accepts {took}"


MODEL = partial(Classifier, num_classes=3, num_annotators=2, input_shape=[4])
EM = partial(EMClassifier, num_classes=3, num_annotators=2, input_shape=[4])
CCC = partial(CCCClassifier, num_classes=3, num_annotators=2, input_shape=[4])
ELR = partial(ELRClassifier, num_classes=3, num_annotators=2, input_shape=[4])
WRONG: list[tuple[Callable[..., Any], str, list[Any]]] = [
    (AnnotatedDataModule, "num_workers", [-1, 1.5, "x", NAN, True]),
    (AnnotatedDataModule, "batch_size", [0, -1, 1.5, NAN, "x", None]),
    (AnnotatedDataModule, "image_size", [0, -1, 1.5, NAN, "x"]),
    (AnnotatedDataModule, "val_fraction", [0, 1, -1, 2, NAN, INF, "x"]),
    (AnnotatedDataModule, "test_fraction", [0, 1, -1, 2, NAN, INF, "x", None]),
    (AnnotatedDataModule, "split_seed", [-1, 0.5, NAN, None]),
    (AnnotatedDataModule, "repeat_explained", [0, -1, 1.5, NAN]),
    (AnnotatedDataModule, "augment", ["crop", None, 3]),
    (AnnotatedDataModule, "mask_aggregation", ["mean", None, 3]),
    (AnnotatedDataModule, "mix_masks", ["mean", None, 3]),
    (AnnotatedDataModule, "targets", ["x", 3, {}, []]),
    (AnnotatedDataModule, "mix", ["x", 3, {}, []]),
    (MODEL, "num_classes", [0, -1, 1.5, NAN]),
    (MODEL, "num_annotators", [0, -1, 1.5, NAN]),
    (MODEL, "input_shape", [[0], [-1], ["x"], 3, None]),
    (MODEL, "lr", [-1, NAN, INF, "x", True]),
    (MODEL, "weight_decay", [-1, NAN, INF, "x", None]),
    (MODEL, "standardize", ["pixel", None, 3]),
    (MODEL, "lr_scaling", ["fan-out", 3]),
    (MODEL, "schedule", ["linear", None]),
    (MODEL, "lr_warmup_steps", [-1, 0.5, None]),
    (MODEL, "lr_scheduler", ["OneCycleLR", "Adam", "LRScheduler", "", 3, {}, []]),
    (MODEL, "lr_scheduler_kwargs", [{"a": 1}, 3, "x"]),
    (MODEL, "layer_decay", [0, -1, 1.1, NAN, "x", None]),
    (MODEL, "freeze", ["backbone", 3, ["x"], [1]]),
    (MODEL, "optimizer", ["Adamm", "nn", "", "Optimizer", "lr_scheduler", 3, None]),
    (MODEL, "optimizer_kwargs", [{"a": 1}, {"betas": 3}, {"betas": [2, 2]}, {"eps": -1}, 3, "x"]),
    (MODEL, "backbone", ["MLP", 3, {}, []]),
    (MODEL, "annotator_model", ["Perfect", 3, {}, []]),
    (MODEL, "regularizers", ["x", 3, [3], ["x"]]),
    (MODEL, "explanations", ["x", 3, [3], ["x"]]),
    (MODEL, "group_dro", ["x", 3]),
    (EM, "warmup", [-0.1, 1.1, NAN, "x", None]),
    (EM, "every", [0, -1, 1.5, NAN, None]),
    (EM, "lr", [-1, NAN]),
    (CCC, "groups", [0, -1, 1.5, None]),
    (CCC, "clean_items", [0, -1, 1.5, None]),
    (CCC, "rate", [-1, NAN, INF, None]),
    (CCC, "warmup", [-0.1, 1.1, NAN, None]),
    (ELR, "beta", [-0.1, 1, NAN, "x", None]),
    (ELR, "weight", [-1, NAN, INF, None]),
]


@pytest.mark.parametrize(
    ("build", "name", "values"), WRONG, ids=[f"{i}-{name}" for i, (_, name, _) in enumerate(WRONG)]
)
def test_model_and_data_refuse_nonsense(build: Callable[..., Any], name: str, values: list[Any]) -> None:
    took = [value for value in values if accepted(build, name, value)]
    assert not took, f"{name} accepts {took}"


def test_the_message_names_the_setting_as_the_config_does() -> None:
    with pytest.raises(ConfigError, match=r"^`data.num_workers` must be >= 0 or null, got -1\.$"):
        AnnotatedDataModule(num_workers=-1)
    with pytest.raises(ConfigError, match=r"^`model.lr` must be a finite number or null, got nan\.$"):
        MODEL(lr=NAN)
