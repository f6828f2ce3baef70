"""The base class of perception policies, which predict the label that participants would give a mix."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.perception import smooth_uniformly
from hilmix.human.functional.relabelling import blend_classes, blend_labels
from hilmix.human.perception.judgments import FloatArray, MixJudgments
from hilmix.parts import Part

FORMAT = "hilmix perception"
VERSION = 1


class Mixes(NamedTuple):
    """R mixes ``weight * image 1 + (1 - weight) * image 2``, tensors on one device; absent fields are None."""

    label1: Tensor
    """(R, K) float distribution of image 1, one-hot or soft."""
    label2: Tensor
    """(R, K) float distribution of image 2."""
    weight: Tensor
    """(R,) float32 or wider in [0, 1]."""
    id1: Tensor | None = None
    """(R,) int64, which image image 1 is, for policies that remember images; -1 unknown."""
    id2: Tensor | None = None
    """(R,) int64, which image image 2 is."""
    participant: Tensor | None = None
    """(R,) int64 participant, as a place in the policy's ``participants``; -1 for any other."""
    features1: Tensor | None = None
    """(R, D) float features of image 1, for policies that look."""
    features2: Tensor | None = None
    """(R, D) float features of image 2."""
    features: Tensor | None = None
    """(R, D) float features of the mix itself, for policies that look at that too."""

    def swap(self) -> "Mixes":
        """Returns the same mixes with the other image called the first."""
        return Mixes(
            self.label2,
            self.label1,
            1 - self.weight,
            self.id2,
            self.id1,
            self.participant,
            self.features2,
            self.features1,
            self.features,
        )


class Perception(Part, nn.Module, ABC):
    """Turns mixes into the labels that participants would give them.

    A call takes :class:`Mixes` and returns (R, K) distributions, differentiable in labels and weights. In training it
    is arbitrary which image is called the first, so the label of a mix and of its :meth:`Mixes.swap` are the same:
    a policy that prefers an image does so by its class, never by its place.

    The parameters are arguments of the constructor, plain values: a policy is written into YAML, a checkpoint or a file
    (:meth:`save`) as what it is. Each class has a class method ``fit`` from
    :class:`~hilmix.human.perception.MixJudgments`. Tensors move with ``to(device)``, as in any module.

    Example:
        >>> from hilmix.human.perception import GlobalCurve
        >>> cat, dog = torch.eye(2).split(1)
        >>> GlobalCurve(parameters=(0.0, 0.5))(Mixes(cat, dog, torch.tensor([0.9]))).round(decimals=2).tolist()
        [[0.75, 0.25]]
    """

    participants: tuple[str, ...] = ()
    """Names of the participants who have parameters of their own."""

    def forward(self, mixes: Mixes) -> Tensor:
        """Returns (R, K) labels."""
        with torch.autocast(mixes.weight.device.type, enabled=False):  # products would be rounded to half precision
            return self.relabel(mixes)

    @abstractmethod
    def perceived_share(self, mixes: Mixes) -> Tensor:
        """Returns the share of image 1 that participants see, in [0, 1]: (R,), or (R, K, K) by the classes of both
        images. Implemented by subclasses.
        """

    def uniform_share(self, mixes: Mixes) -> Tensor:
        """Returns (R,) the share of each label that is spread evenly over all classes; 0 by default."""
        return torch.zeros_like(mixes.weight)

    def relabel(self, mixes: Mixes) -> Tensor:
        """Returns (R, K) labels."""
        seen = self.perceived_share(mixes)
        blend = blend_labels if seen.ndim == 1 else blend_classes
        return smooth_uniformly(blend(mixes.label1, mixes.label2, seen), self.uniform_share(mixes))

    def shares(self, mixes: Mixes) -> Tensor:
        """Returns (R, 3) how each label is made up: of image 1, of image 2, uniform; rows sum to 1.

        A share by classes is averaged over the classes of both images, drawn independently from their labels.
        """
        # HumanMix calls this directly, without forward.
        with torch.autocast(mixes.weight.device.type, enabled=False):
            seen, uniform = self.perceived_share(mixes), self.uniform_share(mixes)
            if seen.ndim > 1:
                seen = torch.einsum("rc,rcd,rd->r", mixes.label1, seen, mixes.label2)
            return torch.stack([(1 - uniform) * seen, (1 - uniform) * (1 - seen), uniform], 1)

    def confidence(self, mixes: Mixes) -> Tensor:
        """Returns (R,) how sure participants are of each mix, in [0, 1].

        Raises:
            ConfigError: by default, as most policies do not know.
        """
        raise ConfigError(f"{type(self).__name__} does not predict confidence; give ConfidenceSmoothing a `line`.")

    def predict(
        self, judgments: MixJudgments, *, features: Tensor | None = None, mix_features: Tensor | None = None
    ) -> FloatArray:
        """Returns the answer that the policy expects in each judgment, (M,) float64: the share of image 1's class in
        what the label gives to the two classes.

        Args:
            judgments: M judgments; their answers are ignored.
            features: (N, D) float features of all images, by id, for policies that look.
            mix_features: (M, D) float features of the mixes themselves, for policies that look at them too.

        Raises:
            DataError: if both images of a mix have one class, so that its label cannot tell them apart.
        """
        same = np.flatnonzero(judgments.label1 == judgments.label2)
        if len(same):
            row = same[0]
            raise DataError(
                f"judgments label2, row {row}: must differ from label1, got {judgments.label2[row]} for both, and the "
                "label of such a mix does not depend on the weight. Leave out mixes within a class."
            )
        with torch.no_grad():
            label = self(to_mixes(judgments, features=features, mix_features=mix_features)).cpu().double().numpy()
        first, second = (label[np.arange(len(label)), c] for c in (judgments.label1, judgments.label2))
        # What is spread over the other classes does not say which of the two images is seen more.
        share: FloatArray = first / (first + second)
        return share

    def save(self, path: Path | str) -> None:
        """Writes the policy into a JSON file, over one that is there; :meth:`load` gives it back to the last bit.

        Raises:
            DataError: if the file cannot be written.
        """
        # allow_nan=False: a NaN would be saved as text that strict JSON readers refuse.
        text = json.dumps({"format": FORMAT, "version": VERSION, **self.spec()}, allow_nan=False)
        try:
            Path(path).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"Cannot write the perception policy to '{path}': {error.strerror}.") from error

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Returns the policy that :meth:`save` wrote, of the class it is called on.

        Raises:
            DataError: if the file is not there, is no such file, or is of a later version.
            ConfigError: if it holds another kind of policy, or parameters that its class does not take.
        """
        spec = _read(Path(path))
        try:
            return cls.from_spec(spec)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def to_mixes(judgments: MixJudgments, *, features: Tensor | None = None, mix_features: Tensor | None = None) -> Mixes:
    """Returns the mixes of the judgments, with one-hot labels, in double precision on the host.

    Args:
        judgments: M judgments.
        features: (N, D) float features of all images, by id.
        mix_features: (M, D) float features of the mixes themselves.
    """
    # float64, as fits compute: scores must not depend on rounding of the policy.
    hot = torch.eye(judgments.num_classes, dtype=torch.float64)
    names = ("label1", "label2", "weight", "id1", "id2", "participant")
    label1, label2, weight, id1, id2, participant = (torch.tensor(getattr(judgments, name)) for name in names)
    own = (None, None) if features is None else (features[id1], features[id2])
    return Mixes(hot[label1], hot[label2], weight, id1, id2, participant, own[0], own[1], mix_features)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"Cannot read the perception policy '{path}': {error.strerror}.") from error
    # Deeply nested JSON exhausts the parser.
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON file: {error}.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{path} holds no perception policy: its 'format' is not '{FORMAT}'. Write one with save().")
    if found.get("version") != VERSION:
        raise DataError(
            f"{path}: 'version' must be {VERSION}, got {found.get('version')!r}. Fit and save the "
            "policy again, or install the hilmix that wrote it."
        )
    if missing := [key for key in ("class_path", "init_args") if key not in found]:
        raise DataError(f"{path} lacks {', '.join(missing)}; fit and save the policy again.")
    return found


class SavedPerception(Perception):
    """The policy in a file, for configurations.

    Its specification is that of the policy itself, so a checkpoint does not depend on the file. A configuration does:
    the command line reads the file anew. Testing and predicting mix nothing, so ``--data.mix NoMix`` does without it.

    Args:
        file: written by :meth:`Perception.save`.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.policy = Perception.load(file)
        self.participants = self.policy.participants

    def perceived_share(self, mixes: Mixes) -> Tensor:
        return self.policy.perceived_share(mixes)

    def uniform_share(self, mixes: Mixes) -> Tensor:
        return self.policy.uniform_share(mixes)

    def confidence(self, mixes: Mixes) -> Tensor:
        return self.policy.confidence(mixes)

    def spec(self) -> dict[str, Any]:
        return self.policy.spec()
