"""A policy that looks at the images and at the mix itself, through the same frozen network."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

from hilmix.checks import NonNegative
from hilmix.errors import ConfigError, DataError
from hilmix.functional.information import penalised_root
from hilmix.human.perception.base import Mixes, to_mixes
from hilmix.human.perception.judgments import FloatArray, MixJudgments
from hilmix.human.perception.learned import COMPONENTS, LearnedPerception, RegressionColumns


class MixFeaturePerception(LearnedPerception):
    """:class:`LearnedPerception` that also uses features of the mix itself.

    To the strength of image 1 over image 2 it adds how much more the mix's features resemble those of image 1: for
    each block of standardised features the difference of two cosines and that of two distances, and the difference of
    a linear classifier's scores of the two classes. Needs ``Mixes.features``, features of the mix computed as those of
    the images are, so the network must run on every mix in training. Not differentiable in the weight through these
    features.

    Args:
        strengths: see :class:`LearnedPerception`, as every argument without a text of its own.
        slope: see there.
        image_weights: see there.
        look_weights: 2 B + 1 numbers: for the cosines, the distances, and the classifier.
        blocks: numbers of columns of the B kinds of features, in order.
        mean: D numbers, mean features of images.
        scale: D numbers, their standard deviations.
        classifier: K x D weights for standardised features.
        dispersion: see there.
        confidence: see there.
        confidence_weights: see there.
    """

    mean: Tensor
    scale: Tensor
    classifier: Tensor
    look_weights: Tensor

    def __init__(
        self,
        strengths: Sequence[float],
        slope: float,
        image_weights: Sequence[float],
        look_weights: Sequence[float],
        blocks: Sequence[int],
        mean: Sequence[float],
        scale: Sequence[float],
        classifier: Sequence[Sequence[float]],
        dispersion: NonNegative | None = None,
        confidence: tuple[float, float, float] | None = None,
        confidence_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(strengths, slope, image_weights, dispersion, confidence, confidence_weights)
        if len(look_weights) != 2 * len(blocks) + 1 or sum(blocks) != len(image_weights):
            raise ConfigError(
                f"perception: `look_weights` must have {2 * len(blocks) + 1} entries, two per block and one, and "
                f"`blocks` must sum to {len(image_weights)}, the features, got {len(look_weights)} and {list(blocks)}."
            )
        self.blocks = [int(size) for size in blocks]
        for name, values in (("look_weights", look_weights), ("mean", mean), ("scale", scale)):
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float32))
        self.register_buffer("classifier", torch.tensor([list(row) for row in classifier], dtype=torch.float32))

    @classmethod
    def fit(
        cls,
        judgments: MixJudgments,
        *,
        features: Tensor,
        blocks: Sequence[int] | None = None,
        components: int = COMPONENTS,
        mix_features: Tensor | None = None,
    ) -> Self:
        """Returns the policy of the greatest penalised quasi-likelihood; see :meth:`LearnedPerception.fit`.

        The classifier is a ridge regression of the classes of the images that were judged, its penalty the number of
        features. Cosines, distances and the classifier share one prior variance.

        Args:
            judgments: M judgments.
            features: (N, D) float features of all images, by id.
            blocks: numbers of columns of the kinds of features.
            components: most principal components of a block.
            mix_features: (M, D) float features of the mixes themselves.

        Raises:
            ConfigError: without features of the mixes, or if the blocks do not add up.
            DataError: see there.
        """
        if mix_features is None:
            raise ConfigError("MixFeaturePerception.fit needs mix_features, (M, D) features of the mixes.")
        sizes = list(blocks or [features.shape[1]])
        shown = RegressionColumns.build(judgments, features, sizes, components)
        if mix_features.shape != (len(shown.first), features.shape[1]) or not bool(mix_features.isfinite().all()):
            raise DataError(
                f"mix_features must be finite and of the shape {(len(shown.first), features.shape[1])}, a row per "
                f"judgment, got the shape {tuple(mix_features.shape)}."
            )
        mean, scale = shown.components.mean.tolist(), shown.components.scale.tolist()
        classifier = _classifier(shown, features).tolist()
        # Zero weights: only its similarity() is used, which standardises exactly as the fitted policy will.
        blank = cls(
            [0.0] * judgments.num_classes,
            1.0,
            [0.0] * len(mean),
            [0.0] * (2 * len(sizes) + 1),
            sizes,
            mean,
            scale,
            classifier,
        )
        similarity = blank.similarity(to_mixes(shown.judgments, features=features, mix_features=mix_features)).numpy()
        # Of unit mean square, since all share one prior variance; a similarity that is always 0 stays 0.
        size = np.maximum(np.sqrt(np.square(similarity).mean(0)), 1e-12)
        shown = shown._replace(extra=similarity / size, extra_block=np.zeros(similarity.shape[1], dtype=np.int64))
        fitted = shown.fit_shares()
        part = {name: fitted.coefficients[where] for name, where in shown.slices.items()}
        confidence, sure = None, None
        if not np.isnan(shown.judgments.confidence).all():
            confidence, sure = shown.fit_confidence(fitted.expected)
        return cls(
            part["class"].tolist(),
            float(part["slope"][0]),
            shown.components.to_feature_weights(part["image"]).tolist(),
            # Back to the units of similarity().
            (part["extra"] / size).tolist(),
            sizes,
            mean,
            scale,
            classifier,
            fitted.dispersion,
            confidence,
            sure,
        )

    def similarity(self, mixes: Mixes) -> Tensor:
        """Returns (R, 2 B + 1) how much more each mix looks like image 1: cosines, distances, classifier."""
        first, second, mix = (self._standardise(f) for f in (*self._features(mixes), self._mix_features(mixes)))
        cosines, distances = [], []
        for a, b, m in zip(*(torch.split(f, self.blocks, 1) for f in (first, second, mix)), strict=True):
            cosines.append(((normalize(a) - normalize(b)) * normalize(m)).sum(1))
            # Per square root of the width, so that blocks of any width are on one scale.
            distances.append((vector_norm(m - b, dim=1) - vector_norm(m - a, dim=1)) / m.shape[1] ** 0.5)
        class_scores = (mix @ self.classifier.to(mix.dtype).T * (mixes.label1 - mixes.label2)).sum(1)
        return torch.stack([*cosines, *distances, class_scores], 1)

    def _image_advantage(self, mixes: Mixes) -> Tensor:
        # Without the last, the classifier: it enters by class below, so that soft labels weight it as they weight
        # strengths.
        return super()._image_advantage(mixes) + self.similarity(mixes)[:, :-1] @ self.look_weights[:-1].to(
            mixes.weight.dtype
        )

    def _class_scores(self, mixes: Mixes) -> Tensor:
        mix = self._standardise(self._mix_features(mixes))
        class_scores = mix @ self.classifier.to(mix.dtype).T
        return super()._class_scores(mixes) + self.look_weights[-1].to(mix.dtype) * class_scores

    def _standardise(self, features: Tensor) -> Tensor:
        return (features - self.mean.to(features.dtype)) / self.scale.to(features.dtype)

    def _mix_features(self, mixes: Mixes) -> Tensor:
        if mixes.features is None:
            raise ConfigError(
                "MixFeaturePerception reads the mix; these mixes come without features, which no mix policy computes. "
                "For training fit a LearnedPerception."
            )
        return mixes.features.to(mixes.weight.dtype)


def _classifier(shown: RegressionColumns, features: Tensor) -> FloatArray:
    """(K, D) ridge regression of the classes of the images on their standardised features."""
    judgments, (mean, scale) = shown.judgments, shown.components[:2]
    images, first = np.unique(np.concatenate([judgments.id1, judgments.id2]), return_index=True)
    classes = np.concatenate([judgments.label1, judgments.label2])[first]
    x = (features.detach().cpu()[torch.from_numpy(images)].double().numpy() - mean) / scale
    y = np.eye(judgments.num_classes)[classes]
    root = penalised_root(x, np.full(x.shape[1], float(x.shape[1])))
    # Centred, without intercepts: the strengths of the classes take those up.
    found: FloatArray = (root @ (root.T @ (x.T @ (y - y.mean(0))))).T
    return found
