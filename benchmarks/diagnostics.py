"""Diagnostics against the packages that they replace, on the same arrays: time, and how far the results are apart."""

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.timing import Result, interleaved, ratio
from hilmix.functional import confident_learning as cl, crowd
from hilmix.functional.aggregation import VoteTable
from hilmix.metrics import BinnedCalibrationError, CalibrationSuite

SAME = 1e-6


def predictions(items: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Float32 probabilities of a model that is mostly right, and labels of which a tenth is drawn at random."""
    rng = np.random.default_rng(0)
    true = rng.integers(classes, size=items)
    label = np.where(rng.random(items) < 0.1, rng.integers(classes, size=items), true)
    logits = rng.standard_normal((items, classes), dtype=np.float32)
    logits[np.arange(items), true] += 2 * np.sqrt(np.log(classes), dtype=np.float32)
    probs = np.exp(1.5 * (logits - logits.max(axis=1, keepdims=True)))
    return probs / probs.sum(axis=1, keepdims=True), label


def annotations(items: int, annotators: int, per_item: int) -> tuple[VoteTable, np.ndarray, np.ndarray]:
    """Labels that are right in seven of ten cases, the same as a dense table, and probabilities."""
    rng = np.random.default_rng(0)
    probs, true = predictions(items, 10)
    item = np.repeat(np.arange(items), per_item)
    # distinct annotators of each item: the first of a rotation that starts anywhere
    annotator = (rng.integers(annotators, size=items)[:, None] + np.arange(per_item)).ravel() % annotators
    label = np.where(rng.random(len(item)) < 0.7, true[item], rng.integers(10, size=len(item)))
    dense = np.full((items, annotators), np.nan)
    dense[item, annotator] = label
    return VoteTable(item, annotator, label, items, annotators, 10), dense, probs.astype(np.float64)


def compare(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    package: str,
    goal: float,
    apart: Callable[[], float],
    repeats: int = 3,
) -> list[Result]:
    """Time as a share of the package's, with the inverse of the goal as bound, and the difference of the results."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        times = interleaved({"ours": ours, "theirs": theirs}, repeats=repeats)
        difference = apart()
    return [
        Result(f"diagnostics: {name}, time", ratio(times["ours"], times["theirs"]), f"x {package}", 1 / goal),
        Result(f"diagnostics: {name}, largest difference", difference, "", SAME),
    ]


def joint_of(probs: np.ndarray, label: np.ndarray) -> np.ndarray:
    thresholds = cl.class_thresholds(cl.threshold_sums(probs, label))
    return cl.confident_joint(cl.confident_counts(probs, label, thresholds))


def label_errors(sizes: Sequence[tuple[int, int, float, float, float]]) -> list[Result]:
    """Confident joint and filters, single-job paths."""
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues

    results = []
    for items, classes, joint_goal, issue_goal, low_goal in sizes:
        probs, label = predictions(items, classes)
        shape = f"{items:,} x {classes}"
        results += compare(
            f"confident joint, {shape}",
            lambda p=probs, z=label: joint_of(p, z),
            lambda p=probs, z=label: compute_confident_joint(z, p, calibrate=False),
            package="cleanlab",
            goal=joint_goal,
            # Their thresholds are means in float32, so a sample in a million may be counted elsewhere.
            apart=lambda p=probs, z=label: float(
                np.abs(joint_of(p, z) - compute_confident_joint(z, p, calibrate=False)).sum() / 2 / len(z)
            ),
        )
        for by, name, goal in (
            ("noise_rate", "prune_by_noise_rate", issue_goal),
            ("low_self_confidence", "low_self_confidence", low_goal),
        ):

            def ours(p: np.ndarray = probs, z: np.ndarray = label, by: cl.IssueFilter = by) -> np.ndarray:
                return cl.find_label_issues(p, z, by=by)

            def theirs(p: np.ndarray = probs, z: np.ndarray = label, name: str = name) -> np.ndarray:
                return find_label_issues(z, p, filter_by=name, n_jobs=1)

            # Ties of rounded counts go another way there, so a share of the issues may differ at many classes.
            results += compare(
                f"label issues by {by}, {shape}",
                ours,
                theirs,
                package="cleanlab",
                goal=goal,
                apart=lambda a=ours, b=theirs: float((a() != b()).mean()),
            )
    return results


def annotators() -> list[Result]:
    """CROWDLAB and alpha."""
    import krippendorff
    from cleanlab.multiannotator import get_label_quality_multiannotator

    results = []
    for items, number, per_item, goal in ((10_000, 50, 3, 40.0), (2_000, 1_000, 20, 500.0)):
        table, dense, probs = annotations(items, number, per_item)

        def theirs(d: np.ndarray = dense, p: np.ndarray = probs) -> np.ndarray:
            found = get_label_quality_multiannotator(d, p, verbose=False)
            return found["label_quality"]["consensus_quality_score"].to_numpy()

        def ours(t: VoteTable = table, p: np.ndarray = probs) -> np.ndarray:
            return crowd.crowdlab(t, [p]).consensus_quality

        results += compare(
            f"CROWDLAB, {items:,} items, {number:,} annotators, {per_item} labels each",
            ours,
            theirs,
            package="cleanlab",
            goal=goal,
            apart=lambda a=ours, b=theirs: float(np.abs(a() - b()).max()),
            repeats=1,
        )
    table, dense, _ = annotations(20_000, 200, 5)
    data = dense.T.copy()
    results += compare(
        "Krippendorff's alpha, 100,000 labels",
        lambda: crowd.krippendorff_alpha(table),
        lambda: krippendorff.alpha(data, level_of_measurement="nominal"),
        package="krippendorff",
        goal=40,
        apart=lambda: abs(crowd.krippendorff_alpha(table) - krippendorff.alpha(data, level_of_measurement="nominal")),
    )
    return results


def calibration() -> list[Result]:
    """Class-wise ECE, and the digits of an ECE of many samples."""
    from torch_uncertainty.metrics.classification import ClasswiseCalibrationError

    probs, label = (torch.from_numpy(a) for a in predictions(4_000, 1000))

    def run(metric: object) -> float:
        for rows in torch.arange(len(label)).split(1000):
            metric.update(probs[rows], label[rows])  # type: ignore[attr-defined]
        return float(metric.compute())  # type: ignore[attr-defined]

    def ours() -> float:
        return run(BinnedCalibrationError(num_classes=1000))

    def theirs() -> float:
        return run(ClasswiseCalibrationError(num_classes=1000, num_bins=15))

    results = compare(
        "class-wise ECE, 4,000 x 1000",
        ours,
        theirs,
        package="torch-uncertainty",
        goal=60,
        apart=lambda: abs(ours() - theirs()),
        repeats=1,
    )
    # One bin of 50 million equal confidences: the ECE is known exactly.
    suite, size = CalibrationSuite(2), 2**20
    p = torch.tensor([[0.91, 0.09]]).expand(size, 2)
    target = (torch.arange(size) < size // 10).long()
    for _ in range(48):
        suite.update(p, target)
    gap = abs(p[0, 0].double().item() - (1 - (size // 10) / size))
    error = abs(suite.compute()["ece"].item() / gap - 1)
    return [*results, Result("diagnostics: ECE of 50 million samples, relative error", error, "", SAME)]


def measure() -> list[Result]:
    """Label errors, annotators, calibration."""
    sizes = ((300_000, 10, 4.0, 7.0, 15.0), (30_000, 1000, 1.8, 7.0, 5.0))
    return [*label_errors(sizes), *annotators(), *calibration()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*measure(), sep="\n")
