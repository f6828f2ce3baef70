"""Former names: class paths in files that are still read, and public names in code that warn for one version.

A config, a checkpoint or a saved policy names a class by the package that exports it, never by the file in which it
lies, so that files can move. Paths that older versions wrote stand in :data:`MOVED`. A commit that moves an exported
class edits the name of its package in ``_EXPORTED`` and adds the former public path; one that renames it adds its
former paths to ``_RENAMED``.
"""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_EXPORTED: dict[str, dict[str, str]] = {
    "hilmix.annotators": {
        "hilmix.annotators.annot_mix": "AnnotMixHead",
        "hilmix.annotators.base": "AnnotatorModel",
        "hilmix.annotators.conal": "CoNAL",
        "hilmix.annotators.confusion_matrices": "ConfusionMatrices GeoRegW TraceReg",
        "hilmix.annotators.crowd_ar": "CrowdAR",
        "hilmix.annotators.crowd_layer": "CrowdLayer",
        "hilmix.annotators.dawid_skene": "DawidSkene",
        "hilmix.annotators.madl": "MaDL",
        "hilmix.annotators.perfect": "Perfect",
        "hilmix.annotators.union_net": "UnionNet",
    },
    "hilmix.callbacks": {
        "hilmix.callbacks.annotators": "AnnotatorReport",
        "hilmix.callbacks.calibration": "CalibrationReport",
        "hilmix.callbacks.finite_loss": "FiniteLoss",
        "hilmix.callbacks.fit_report": "FitReport",
        "hilmix.callbacks.label_errors": "LabelErrors",
        "hilmix.callbacks.last_checkpoint": "LastCheckpoint",
        "hilmix.callbacks.mask_sensitivity": "MaskSensitivity",
        "hilmix.callbacks.metrics_file": "MetricsFile",
        "hilmix.callbacks.out_of_fold": "OutOfFoldFile",
        "hilmix.callbacks.predictions": "PredictionFile",
    },
    "hilmix.data": {
        "hilmix.data.datamodule": "AnnotatedDataModule",
        "hilmix.data.targets": "Aggregated Pairs Targets TrueLabels",
    },
    "hilmix.explanations": {
        "hilmix.explanations.avg_ex": "AvgEx",
        "hilmix.explanations.base": "Explanation",
        "hilmix.explanations.cdep": "CDEP",
        "hilmix.explanations.ibp_ex": "IBPEx",
        "hilmix.explanations.pgd_ex": "PGDEx",
        "hilmix.explanations.r4": "R4",
        "hilmix.explanations.rrr": "RRR",
    },
    "hilmix.human": {
        "hilmix.mix": "HumanMix",
        "hilmix.mix.human_mix": "HumanMix",
    },
    "hilmix.metrics": {
        "hilmix.metrics.annotators": "AnnotatorAUROC",
        "hilmix.metrics.base": "MeanMetric SumMetric",
        "hilmix.metrics.calibration": "Accuracy AdaptiveCalibrationError BinaryCalibrationError "
        "BinnedCalibrationError BrierScore NegativeLogLikelihood",
        "hilmix.metrics.collection": "ClassMetrics",
        "hilmix.metrics.groups": "GroupAccuracy",
    },
    "hilmix.mix": {
        "hilmix.mix.annot_mix": "AnnotMix",
        "hilmix.mix.base": "MixPolicy NoMix",
        "hilmix.mix.cutmix": "CutMix",
        "hilmix.mix.hidden_mix": "HiddenMix",
        "hilmix.mix.item_mix": "ItemMix",
    },
    "hilmix.modules": {
        "hilmix.modules.classifier": "Classifier",
        "hilmix.modules.crossfit": "CrossFitClassifier",
        "hilmix.modules.em": "EMClassifier",
    },
    "hilmix.human.perception": {
        "hilmix.perception.base": "Perception SavedPerception",
        "hilmix.perception.classes": "ClassStrengths LabelPairs",
        "hilmix.perception.curves": "GlobalCurve Identity",
        "hilmix.perception.hmix": "HMixPerception",
        "hilmix.perception.learned": "LearnedPerception",
        "hilmix.perception.off_endpoints": "OffEndpoints",
        "hilmix.perception.participants": "ParticipantCurves",
        "hilmix.perception.smoothing": "ConfidenceSmoothing Smoothed UniformSmoothing",
        "hilmix.perception.table": "ImageTable",
        "hilmix.perception": "ClassStrengths ConfidenceSmoothing GlobalCurve HMixPerception Identity ImageTable "
        "LabelPairs LearnedPerception OffEndpoints ParticipantCurves Perception SavedPerception "
        "Smoothed UniformSmoothing",
    },
}
"""By the package that exports them now: former modules of classes, and the names of the classes in each."""
_RENAMED: dict[str, tuple[str, ...]] = {
    "hilmix.explanations.PropagatedExplanation": (
        "hilmix.explanations.Propagated",
        "hilmix.explanations.propagated.Propagated",
    ),
    "hilmix.human.perception.MixFeaturePerception": (
        "hilmix.human.perception.LookingPerception",
        "hilmix.perception.LookingPerception",
        "hilmix.perception.looking.LookingPerception",
    ),
}
"""By the public path of a class that has another name now: its former paths."""

MOVED: dict[str, str] = {
    f"{module}.{name}": f"{package}.{name}"
    for package, modules in _EXPORTED.items()
    for module, names in modules.items()
    for name in names.split()
} | {former: path for path, all_former in _RENAMED.items() for former in all_former}
"""Former class paths, with that which names the class now."""


def current_path(class_path: str) -> str:
    """Returns the path that names a class now, of any path that named it once; others stay as they are.

    Example:
        >>> current_path("hilmix.mix.item_mix.ItemMix")
        'hilmix.mix.ItemMix'
    """
    return MOVED.get(class_path, class_path)


def with_current_paths(value: Any) -> Any:
    """Returns plain settings in which every former class path, wherever it stands as a value, is the current one.

    Args:
        value: maps, lists and plain values; not changed.
    """
    if isinstance(value, str):
        return current_path(value)
    if isinstance(value, dict):
        return {key: with_current_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_current_paths(entry) for entry in value]
    return value


def current_options(argv: Sequence[str]) -> list[str]:
    """Returns a command line with current class paths, given as ``--data.mix PATH`` or ``--data.mix=PATH``."""
    # Both sides, as a token without "=" may be the path itself, after its option.
    split = [token.partition("=") for token in argv]
    return [f"{current_path(name)}{equals}{current_path(value)}" for name, equals, value in split]


def former_names(
    package: str, renamed: Mapping[str, str], otherwise: Callable[[str], Any] | None = None
) -> Callable[[str], Any]:
    """Returns a ``__getattr__`` for a package some of whose public names have changed: the former ones still work.

    Args:
        package: ``__name__`` of the package.
        renamed: the name that each former name has now.
        otherwise: ``__getattr__`` of the package for all other names.

    Raises (the returned function):
        AttributeError: for a name that is neither.
    """

    def get(name: str) -> Any:
        if name in renamed:
            text = f"{package}.{name} is now {renamed[name]}; the former name goes in 0.2."
            # stacklevel 2: the line that asks for the name, by which Python decides whether the warning is shown.
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return getattr(sys.modules[package], renamed[name])
        if otherwise is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return otherwise(name)

    return get


def public_path(kind: type) -> str:
    """Returns the path by which files name a class.

    For a class of hilmix that is of the outermost module, below ``hilmix`` itself, whose ``__all__`` lists it. A class
    of another package, or one that is not exported, is named by its own module.

    Args:
        kind: the class.
    """
    modules, name = kind.__module__.split("."), kind.__qualname__
    outwards = [".".join(modules[:end]) for end in range(2, len(modules))] if modules[0] == "hilmix" else []
    # In sys.modules already: a class that exists has imported the packages above it.
    exporting = (module for module in outwards if name in getattr(sys.modules[module], "__all__", ()))
    return f"{next(exporting, kind.__module__)}.{name}"
