"""Public names that have changed: the former ones work for one version, with a warning that names the new one."""

import importlib

import pytest

FORMER = [
    ("hilmix.columns", "codes", "encode_names"),
    ("hilmix.columns", "ranges", "expand_ranges"),
    ("hilmix.data.sources", "expect", "require_published"),
    ("hilmix.diagnostics", "SuspectRanking", "LabelErrorRanking"),
    ("hilmix.diagnostics", "choose_suspects", "choose_label_errors"),
    ("hilmix.explanations", "Propagated", "PropagatedExplanation"),
    ("hilmix.functional", "label_scores", "label_quality_scores"),
    ("hilmix.functional", "rank_suspects", "rank_label_errors"),
    ("hilmix.human.perception", "LookingPerception", "MixFeaturePerception"),
    ("hilmix.human.study", "answer_labels", "label_judgments"),
    ("hilmix.human.study", "mix_labels", "label_mixes"),
    ("hilmix.human.study", "render", "render_mix"),
    ("hilmix.human.study", "with_mixes", "append_mixes"),
]


@pytest.mark.parametrize(("package", "former", "now"), FORMER)
def test_a_former_name_works_and_warns(package: str, former: str, now: str) -> None:
    module = importlib.import_module(package)
    with pytest.warns(DeprecationWarning, match=rf"{former} .*{now}") as caught:
        assert getattr(module, former) is getattr(module, now)
    assert {warning.filename for warning in caught} == {__file__}, "the line to change"
    assert now in module.__all__
    assert former not in module.__all__


def test_an_import_warns_at_its_line() -> None:
    with pytest.warns(DeprecationWarning, match="append_mixes") as caught:
        exec(compile("from hilmix.human.study import with_mixes", "caller.py", "exec"), {})
    assert caught[0].filename == "caller.py"


@pytest.mark.parametrize("package", sorted({package for package, *_ in FORMER}))
def test_other_names_are_unknown(package: str) -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = importlib.import_module(package).nothing
