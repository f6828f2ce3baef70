"""The choice of kernels under which CI runs the numerical tests."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("kernels", Path(__file__).parent.parent / ".ci" / "kernels.py")
kernels = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kernels)


@pytest.mark.parametrize(
    ("capability", "levels"),
    [
        ("AVX512\n", ["default", "avx2", "avx512"]),
        ("AVX2", ["default", "avx2"]),
        ("DEFAULT", ["default"]),
        ("SVE256", ["default"]),
        ("NO AVX", ["default"]),
    ],
)
def test_a_processor_runs_what_it_has(capability, levels):
    assert kernels.usable(capability) == levels


def installed(monkeypatch, kinds):
    asked = []

    def ask(question, core=None, level=None):
        asked.append(core)
        return kinds[core] + "\n"

    monkeypatch.setattr(kernels, "ask", ask)
    return asked


def test_a_kind_that_the_processor_lacks_is_never_tried(monkeypatch):
    asked = installed(monkeypatch, {"Haswell": "Haswell", "Zen": "Zen"})
    found, skipped = kernels.cores(["default", "avx2"])
    assert found == asked == ["Haswell", "Zen"]
    assert len(skipped) == 1
    assert "SkylakeX" in skipped[0]
    assert "avx512" in skipped[0]


def test_kinds_that_a_library_has_only_once_run_once(monkeypatch):
    installed(monkeypatch, {"Haswell": "Haswell", "Zen": "Haswell", "SkylakeX": "SkylakeX"})
    found, skipped = kernels.cores(["default", "avx2", "avx512"])
    assert found == ["Haswell", "SkylakeX"]
    assert [("Zen" in reason, "Haswell" in reason) for reason in skipped] == [(True, True)]


def test_a_numpy_without_openblas_runs_under_its_own(monkeypatch):
    installed(monkeypatch, dict.fromkeys(kernels.CORES, ""))
    assert kernels.cores(["default", "avx2", "avx512"])[0] == []


def test_settings_reach_the_child_and_those_of_the_shell_do_not(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    show = "import os; print([os.environ.get(n) for n in ('OPENBLAS_CORETYPE', 'ATEN_CPU_CAPABILITY')])"
    assert kernels.ask(show).strip() == "[None, None]"
    assert kernels.ask(show, "Haswell", "default").strip() == "['Haswell', 'default']"


def test_every_listed_test_is_there():
    assert all((kernels.ROOT / path).exists() for path in kernels.TESTS)
