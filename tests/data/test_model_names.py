"""Names of classes and annotators belong to the model: data in other orders, with more or fewer names, score alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead, CrowdLayer
from hilmix.backbones import MLP
from hilmix.data import AnnotatedData, ArrayInputs
from hilmix.data.model_names import ModelNames, recode_for_model
from hilmix.data.targets import Aggregated
from hilmix.errors import RunError
from hilmix.modules import Classifier, EMClassifier
from hilmix.types import StepOutput
from tests.helpers import in_memory, quiet_trainer

pytestmark = pytest.mark.usefixtures("no_figures")

N, D = 48, 4
CLASSES, PEOPLE = ("cat", "dog", "eel"), ("ann", "bob", "cleo", "dan")
SPLIT = np.array(["train"] * 24 + ["val"] * 12 + ["test"] * 12)


def annotated(people: tuple[str, ...] = PEOPLE, *, soft: bool = False, seed: int = 0) -> AnnotatedData:
    """Ann is always right, the others ever less so; dan errs on purpose."""
    rng = np.random.default_rng(seed)
    truth = np.arange(N) % 3
    votes = [
        (i, a, truth[i] if rng.random() > 0.25 * a else (truth[i] + 1) % 3)
        for i in range(N)
        for a in rng.permutation(len(people))[:3]
    ]
    item, annotator, label = np.array(votes).T
    probs = np.eye(3)[label] * 0.7 + rng.dirichlet(np.ones(3), len(label)) * 0.3 if soft else None
    return AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(N)),
        inputs=ArrayInputs((rng.normal(size=(N, D)) + 2 * np.eye(3, D)[truth]).astype(np.float32), "vector"),
        annotations=Annotations.build(
            item, annotator, label, num_items=N, classes=CLASSES, annotators=people, probs=probs
        ),
        target=truth,
        split=SPLIT,
    )


def reordered(data: AnnotatedData, classes: tuple[str, ...], people: tuple[str, ...]) -> AnnotatedData:
    """The same votes and truths under lists in another order, or with more names; slow and plain."""
    votes = data.annotations
    new_class = {k: classes.index(name) for k, name in enumerate(votes.classes) if name in classes}
    probs = None
    if votes.probs is not None:
        probs = np.zeros((votes.num_pairs, len(classes)))
        for k, place in new_class.items():
            probs[:, place] = votes.probs[:, k]
    moved = Annotations.build(
        votes.item,
        [people.index(votes.annotators[a]) for a in votes.annotator],
        [new_class[k] for k in votes.label],
        num_items=N,
        classes=classes,
        annotators=people,
        probs=probs,
    )
    return replace(data, annotations=moved, target=np.array([new_class.get(k, -1) for k in data.target]))


def without_class(data: AnnotatedData, name: str) -> AnnotatedData:
    """Neither votes for the class nor items of it are known."""
    votes, k = data.annotations, data.classes.index(name)
    keep = votes.label != k
    fewer = replace(votes, item=votes.item[keep], annotator=votes.annotator[keep], label=votes.label[keep])
    return replace(data, annotations=fewer, target=np.where(data.target == k, -1, data.target))


HEADS = {"annot-mix": AnnotMixHead, "crowd-layer": CrowdLayer}


def fitted(folder: Path, data: AnnotatedData, head: str = "annot-mix", **settings: object) -> tuple[Classifier, Path]:
    torch.manual_seed(0)
    module = in_memory(data, **settings)
    sizes = module.num_classes, module.num_annotators, module.input_shape
    if head == "em":
        model: Classifier = EMClassifier(*sizes, MLP([8]), lr=0.05, every=1)
    else:
        model = Classifier(*sizes, MLP([8]), HEADS[head](), lr=0.05)
    run = quiet_trainer(folder)
    run.fit(model, module)
    run.save_checkpoint(folder / "run.ckpt")
    return model, folder / "run.ckpt"


def scored(
    folder: Path, checkpoint: Path, data: AnnotatedData, kind: type[Classifier] = Classifier, *, how: str = "ckpt"
):
    """Test metrics and the outputs of predict, the checkpoint given to the trainer or loaded into the model before."""
    model = kind.load_from_checkpoint(checkpoint)
    path = checkpoint if how == "ckpt" else None
    module = in_memory(data)
    metrics = quiet_trainer(folder).test(model, module, ckpt_path=path, verbose=False)[0]
    outputs = quiet_trainer(folder).predict(model, in_memory(data), ckpt_path=path)
    return metrics, outputs


def joined(outputs: list[StepOutput], name: str) -> torch.Tensor:
    return torch.cat([getattr(output, name) for output in outputs])


def same(one, other) -> None:
    (metrics, outputs), (expected, expected_outputs) = one, other
    assert metrics == pytest.approx(expected, abs=1e-6)
    for name in ("logits", "posterior", "p_right", "target", "label", "annotator"):
        torch.testing.assert_close(joined(outputs, name), joined(expected_outputs, name), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "how", "soft"),
    [
        ("annot-mix", "ckpt", False),
        ("annot-mix", "loaded", True),
        ("crowd-layer", "loaded", False),
        ("em", "ckpt", True),
        ("em", "loaded", False),
    ],
)
def test_scores_do_not_depend_on_the_order_of_names(tmp_path: Path, head: str, how: str, soft: bool) -> None:
    data = annotated(soft=soft)
    _, checkpoint = fitted(tmp_path, data, head)
    kind = EMClassifier if head == "em" else Classifier
    expected = scored(tmp_path, checkpoint, data, kind)
    assert expected[0]["test/annotator_auroc"] != pytest.approx(0.5, abs=1e-3)
    shuffled = reordered(data, ("eel", "cat", "dog"), ("zoe", "dan", "bob", "ann", "cleo"))
    same(scored(tmp_path, checkpoint, shuffled, kind, how=how), expected)


@pytest.mark.parametrize("how", ["ckpt", "loaded"])
def test_a_model_with_more_names_than_the_data(tmp_path: Path, how: str) -> None:
    """A folder that lists two of three classes and two of four annotators: the same items score the same."""
    data = annotated()
    _, checkpoint = fitted(tmp_path, data)
    few = without_class(data, "cat")
    votes = few.annotations
    keep = np.isin(votes.annotator, [1, 3])
    kept = {name: getattr(votes, name)[keep] for name in ("item", "annotator", "label")}
    few = replace(few, annotations=replace(votes, **kept))
    expected = scored(tmp_path, checkpoint, few)
    same(scored(tmp_path, checkpoint, reordered(few, ("eel", "dog"), ("dan", "bob")), how=how), expected)
    assert joined(expected[1], "logits").shape[1] == 3


def test_newcomers_are_unknown_and_others_keep_their_ids(tmp_path: Path) -> None:
    _, checkpoint = fitted(tmp_path, annotated())
    other = reordered(annotated(("ann", "new", "cleo", "newer")), CLASSES, ("newer", "new", "cleo", "ann"))
    _, outputs = scored(tmp_path, checkpoint, other)
    names = np.array(other.annotations.annotators)[other.annotations.annotator]
    expected = [{"ann": 0, "cleo": 2}.get(name, -1) for name in names]
    assert joined(outputs, "annotator").tolist() == expected


@pytest.mark.parametrize("how", ["ckpt", "loaded"])
@pytest.mark.parametrize("used", [True, False])
def test_a_class_that_the_model_lacks_is_refused(tmp_path: Path, how: str, used: bool) -> None:
    _, checkpoint = fitted(tmp_path, annotated())
    data = reordered(annotated(), ("cat", "dog", "eel", "yak"), PEOPLE)
    if used:
        data = replace(data, target=np.where(data.target == 1, 3, data.target))
    with pytest.raises(RunError, match="yak"):
        scored(tmp_path, checkpoint, data, how=how)


def test_one_data_module_serves_one_model_after_another(tmp_path: Path) -> None:
    """`test(old)`, then `fit(new)`: the new model must not get the ids of the old one."""
    old_people = ("zed", "ann", "bob", "cleo")
    _, old = fitted(tmp_path / "old", annotated(old_people, seed=3))
    model, _ = fitted(tmp_path, annotated())
    shared = in_memory(annotated())
    quiet_trainer(tmp_path).test(Classifier.load_from_checkpoint(old), shared, ckpt_path=old, verbose=False)
    torch.manual_seed(0)
    new = Classifier(3, 4, [D], MLP([8]), AnnotMixHead(), lr=0.05)
    quiet_trainer(tmp_path).fit(new, shared)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(new.state_dict()[name], value, rtol=0, atol=0)
    one = quiet_trainer(tmp_path).test(new, shared, verbose=False)[0]
    other = quiet_trainer(tmp_path).test(model, in_memory(annotated()), verbose=False)[0]
    assert one == other


def test_a_second_fit_keeps_the_models_codes(tmp_path: Path) -> None:
    """Warm start on the same votes under lists in another order: as on the very same data."""
    twins = []
    for data in (annotated(), reordered(annotated(), ("eel", "dog", "cat"), ("dan", "ann", "cleo", "bob"))):
        model, _ = fitted(tmp_path, annotated())
        quiet_trainer(tmp_path).fit(model, in_memory(data))
        twins.append(model.state_dict())
    for name, value in twins[0].items():
        torch.testing.assert_close(twins[1][name], value, rtol=0, atol=0)


def test_a_second_fit_does_not_take_newcomers_for_others(tmp_path: Path) -> None:
    model, _ = fitted(tmp_path, annotated(), "em")
    module = in_memory(annotated(("new", "ann", "bob", "newer")))
    quiet_trainer(tmp_path).fit(model, module)
    ids = dict(zip(module.data.annotations.annotators, module.annotator_ids.tolist(), strict=True))
    assert ids == {"ann": 0, "bob": 1, "cleo": 2, "dan": 3, "new": -1, "newer": -1}


def test_a_model_of_aggregates_knows_no_annotator(tmp_path: Path) -> None:
    """Not even one who is called as the crowd is."""
    _, checkpoint = fitted(tmp_path, annotated(), targets=Aggregated())
    _, outputs = scored(tmp_path, checkpoint, annotated(("crowd", "ann", "bob", "cleo")))
    assert set(joined(outputs, "annotator").tolist()) == {-1}


def test_a_checkpoint_from_before_names_were_kept_by_the_model(tmp_path: Path) -> None:
    data = annotated()
    _, checkpoint = fitted(tmp_path, data)
    expected = scored(tmp_path, checkpoint, data)
    content = torch.load(checkpoint, weights_only=True)
    for key in ("aggregated", "drawn"):
        del content["AnnotatedDataModule"][key]
    torch.save(content, tmp_path / "old.ckpt")
    same(scored(tmp_path, tmp_path / "old.ckpt", reordered(data, CLASSES[::-1], PEOPLE[::-1])), expected)


def test_codes_by_hand() -> None:
    probs = [[0.25, 0.75], [1, 0], [0.4, 0.6]]
    two = {"classes": ["b", "a"], "annotators": ["q", "p"]}
    votes = Annotations.build([0, 1, 2], [0, 1, 1], [1, 0, 1], num_items=N, probs=probs, **two)
    data = replace(annotated(), annotations=votes, target=np.array([0, 1] + [-1] * (N - 2)))
    moved, known = recode_for_model(data, ModelNames(("a", "c", "b"), ("p", "", "r")))
    votes = moved.annotations
    assert (votes.classes, votes.annotators) == (("a", "c", "b"), ("p", "", "r", "q"))
    assert votes.label.tolist() == [0, 2, 0]
    assert votes.annotator.tolist() == [3, 0, 0]
    np.testing.assert_allclose(votes.probs, [[0.75, 0, 0.25], [0, 0, 1], [0.6, 0, 0.4]], rtol=1e-6)
    assert moved.target[:3].tolist() == [2, 0, -1]
    assert known.tolist() == [True, False, True, False]
