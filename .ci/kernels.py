"""Runs the numerical tests under each kind of kernels that this processor has, as their rounding differs.

OpenBLAS (numpy, scipy) and torch do not see each other, so one run covers a kind of either. In torch, ATen's level also
limits the instructions of oneDNN and MKL, which compute convolutions and products of matrices. What the processor or
the installed library lacks is skipped, with the reason.
"""

import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/functional",
    "tests/human/functional",
    "tests/human/perception",
    "tests/modules/test_crossfit.py",
    "tests/test_cross_fitting.py",
    "tests/test_regularizers.py",
    "tests/human/elicit/design/test_propose.py",
)
LEVELS = ("default", "avx2", "avx512")
"""Of ATen, in the order in which a processor must know more."""
TORCH = {"default": ("SSE41", "COMPATIBLE"), "avx2": ("AVX2", "AVX2"), "avx512": ("AVX512_CORE", "AVX512")}
"""The limits of oneDNN and MKL that belong to a level."""
CORES = {"Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512"}
"""Of OpenBLAS, and the level whose instructions they use."""
ATEN = "import torch; print(torch.backends.cpu.get_cpu_capability())"
OPENBLAS = """
import numpy, threadpoolctl
print(*{d["architecture"] for d in threadpoolctl.threadpool_info() if d["internal_api"] == "openblas"})
"""


def environment(core: str | None = None, level: str | None = None) -> dict[str, str]:
    """The environment of a child process in which these kernels run, and otherwise those of the processor."""
    onednn, mkl = TORCH.get(level or "", (None, None))
    given = {
        "OPENBLAS_CORETYPE": core,
        "ATEN_CPU_CAPABILITY": level,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_CBWR": mkl,
    }
    kept = {name: value for name, value in os.environ.items() if name not in given}
    return kept | {name: value for name, value in given.items() if value} | {"OMP_NUM_THREADS": "1"}


def ask(question: str, core: str | None = None, level: str | None = None) -> str:
    """Returns what a fresh Python with these kernels prints."""
    command = [sys.executable, "-c", question]
    return subprocess.run(command, env=environment(core, level), check=True, text=True, capture_output=True).stdout


def usable(capability: str) -> list[str]:
    """The levels of ATen that a processor has; of one that is not of the x86 family only the default."""
    known = capability.strip().lower()
    return list(LEVELS[: LEVELS.index(known) + 1]) if known in LEVELS else [LEVELS[0]]


def cores(levels: list[str]) -> tuple[list[str], list[str]]:
    """The kinds of OpenBLAS that can run, each once, and why others cannot."""
    found: dict[str, str] = {}
    skipped = []
    for core, level in CORES.items():
        if level not in levels:
            skipped.append(f"OpenBLAS {core}: this processor has no {level}.")
            continue
        kind = ask(OPENBLAS, core).strip()
        if kind != core:
            skipped.append(f"OpenBLAS {core}: the installed OpenBLAS runs its {kind} kernels instead.")
        if kind and kind not in found.values():
            found[core] = kind
    return list(found), skipped


def main() -> int:
    """Returns 1 if a test fails under any kernels."""
    levels = usable(ask(ATEN))
    runnable, skipped = cores(levels)
    skipped += [f"ATen {level}: this processor has none." for level in LEVELS if level not in levels]
    for reason in skipped:
        print(f"Skipped {reason}", flush=True)
    failed = []
    for core, level in zip_longest(runnable, levels):
        title = f"OpenBLAS {core or 'as detected'}, ATen {level or 'as detected'}"
        print(f"Numerical tests under {title}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *TESTS]
        if subprocess.run(command, cwd=ROOT, env=environment(core, level), check=False).returncode:
            failed.append(title)
    print(f"Failed under: {'; '.join(failed)}" if failed else "All passed.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
