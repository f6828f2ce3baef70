"""A policy that looks at the images: how much an image shows through in a mix is learned from its features."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from hilmix.checks import NonNegative
from hilmix.errors import ConfigError, DataError
from hilmix.human.functional.perception import logit_curve
from hilmix.human.functional.ridge_logit import ridge_logit
from hilmix.human.perception.base import Mixes, Perception
from hilmix.human.perception.classes import _log_odds
from hilmix.human.perception.components import Components
from hilmix.human.perception.judgments import FloatArray, IntArray, MixJudgments

COMPONENTS = 64


class LearnedPerception(Perception):
    """``s(b logit w + t_c - t_d + u'f1 - u'f2)`` for a mix of classes c and d with image features f1 and f2.

    :class:`ClassStrengths` in which every image has a strength of its own, learned from features. Swapping the images
    turns the share round, and pure images keep their label. What is needed of an image does not depend on its partner
    or the weight, so features are computed once per image and serve all mixes. Features are whatever was given to
    :meth:`fit`, such as :func:`~hilmix.human.functional.image_statistics.image_statistics` beside those of a frozen
    network.

    How sure participants are is ``s(p + q |2 w - 1| + r |2 h - 1| + v'f1 + v'f2)``, h the share that they see, and
    answers to a mix spread around it with variance ``phi h (1 - h)``.

    Args:
        strengths: K numbers t.
        slope: b.
        image_weights: D numbers u.
        dispersion: phi; null where unknown.
        confidence: p, q, r; null if not asked for.
        confidence_weights: D numbers v; null with ``confidence``.
    """

    strengths: Tensor
    slope: Tensor
    image_weights: Tensor
    confidence_weights: Tensor | None

    def __init__(
        self,
        strengths: Sequence[float],
        slope: float,
        image_weights: Sequence[float],
        dispersion: NonNegative | None = None,
        confidence: tuple[float, float, float] | None = None,
        confidence_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if (confidence is None) != (confidence_weights is None):
            raise ConfigError("perception: `confidence` and `confidence_weights` must both be given or both be null.")
        if confidence_weights is not None and len(confidence_weights) != len(image_weights):
            raise ConfigError(
                f"perception: `confidence_weights` must have {len(image_weights)} entries, as `image_weights` has, got "
                f"{len(confidence_weights)}."
            )
        self.register_buffer("strengths", torch.tensor(list(strengths), dtype=torch.float32))
        self.register_buffer("slope", torch.tensor(float(slope)))
        self.register_buffer("image_weights", torch.tensor(list(image_weights), dtype=torch.float32))
        sure = None if confidence_weights is None else torch.tensor(list(confidence_weights), dtype=torch.float32)
        self.register_buffer("confidence_weights", sure)
        self.dispersion, self.line = dispersion, confidence

    @classmethod
    def fit(
        cls,
        judgments: MixJudgments,
        *,
        features: Tensor,
        blocks: Sequence[int] | None = None,
        components: int = COMPONENTS,
    ) -> Self:
        """Returns the policy of the greatest penalised quasi-likelihood.

        Classes, each block of features and participants' own slopes have one prior variance each, which follows from
        the answers (:func:`~hilmix.human.functional.ridge_logit.ridge_logit`): nothing is tuned. Participants' slopes,
        and how sure each of them is on the whole, are fitted along and left out of the policy, so that they do not blur
        the images.

        Args:
            judgments: M judgments; those without a confidence do not take part in the fit of confidence.
            features: (N, D) float features of all images, by id.
            blocks: numbers of columns of the kinds of features, in order; by default all are of one kind.
            components: most principal components of a block, of the images that were judged.

        Raises:
            ConfigError: if the blocks do not add up to D.
            DataError: for judgments that cannot be used, or an image without features or with ones that are not
                finite.
        """
        shown = RegressionColumns.build(judgments, features, blocks, components)
        fitted = shown.fit_shares()
        image = fitted.coefficients[shown.slices["image"]]
        weights, confidence, sure = shown.components.to_feature_weights(image), None, None
        if not np.isnan(shown.judgments.confidence).all():
            confidence, sure = shown.fit_confidence(fitted.expected)
        return cls(
            fitted.coefficients[shown.slices["class"]].tolist(),
            float(fitted.coefficients[0]),
            weights.tolist(),
            fitted.dispersion,
            confidence,
            sure,
        )

    def perceived_share(self, mixes: Mixes) -> Tensor:
        t = self._class_scores(mixes)
        offset = t[:, :, None] - t[:, None, :] + self._image_advantage(mixes)[:, None, None]
        # Buffers are float32; mixes in float64, as in fits, keep their precision.
        return logit_curve(mixes.weight[:, None, None], offset, self.slope.to(offset.dtype))

    def mean_share(self, mixes: Mixes) -> Tensor:
        """Returns (R,) what participants see of image 1, with each image's strength averaged over its label."""
        classes = (self._class_scores(mixes) * (mixes.label1 - mixes.label2)).sum(1)
        return logit_curve(mixes.weight, classes + self._image_advantage(mixes), self.slope.to(mixes.weight.dtype))

    def answer_std(self, mixes: Mixes) -> Tensor:
        """Returns (R,) the standard deviation of participants' answers around :meth:`mean_share`.

        Raises:
            ConfigError: without a dispersion.
        """
        if self.dispersion is None:
            raise ConfigError("LearnedPerception has no dispersion; fit it to judgments.")
        h = self.mean_share(mixes)
        return (self.dispersion * h * (1 - h)).sqrt()

    def confidence(self, mixes: Mixes) -> Tensor:
        """Returns (R,) how sure participants are of each mix.

        Raises:
            ConfigError: if it was fitted to judgments without confidence.
        """
        if self.line is None or self.confidence_weights is None:
            raise ConfigError(
                "LearnedPerception was fitted to judgments that have no confidence; give ConfidenceSmoothing a `line`."
            )
        first, second = self._features(mixes)
        base, pixels, seen = self.line
        sides = pixels * (2 * mixes.weight - 1).abs() + seen * (2 * self.mean_share(mixes) - 1).abs()
        return torch.sigmoid(base + sides + (first + second) @ self.confidence_weights.to(first.dtype))

    def _class_scores(self, mixes: Mixes) -> Tensor:
        """(R, K) strength of each class in each mix."""
        if mixes.label1.shape[1] != len(self.strengths):
            raise ConfigError(
                f"perception: labels must have {len(self.strengths)} classes, those that {type(self).__name__} was "
                f"fitted to, got {mixes.label1.shape[1]}."
            )
        # (R, K) though all rows are equal: subclasses return scores that differ between mixes.
        return self.strengths.to(mixes.weight.dtype).expand(len(mixes.weight), -1)

    def _image_advantage(self, mixes: Mixes) -> Tensor:
        """(R,) how much stronger image 1 is than image 2, classes aside."""
        first, second = self._features(mixes)
        return (first - second) @ self.image_weights.to(first.dtype)

    def _features(self, mixes: Mixes) -> tuple[Tensor, Tensor]:
        name = type(self).__name__
        if mixes.features1 is None or mixes.features2 is None:
            raise ConfigError(
                f"{name} needs `features1` and `features2` of the mixes, got None. In training give "
                "data.mix.features: 'statistics', or a file of features, whichever it was fitted to."
            )
        # Else a matrix product would fail far from the cause.
        if mixes.features1.shape[1] != len(self.image_weights):
            raise ConfigError(
                f"perception: mixes must have {len(self.image_weights)} features, those that {name} was fitted to, got "
                f"{mixes.features1.shape[1]}."
            )
        return mixes.features1.to(mixes.weight.dtype), mixes.features2.to(mixes.weight.dtype)

    def extra_repr(self) -> str:
        """The sizes, for users."""
        return f"{len(self.strengths)} classes, {len(self.image_weights)} features, slope={float(self.slope):.3g}"


class ShareFit(NamedTuple):
    """A fit of what participants see."""

    coefficients: FloatArray
    """(P,) of the columns of :meth:`RegressionColumns.design`."""
    expected: FloatArray
    """(M,) share of image 1 that participants see on average."""
    dispersion: float
    """Variance of the answers around it in units of ``h (1 - h)``, differences between participants included."""


class RegressionColumns(NamedTuple):
    """Judgments as regression columns."""

    judgments: MixJudgments
    components: Components
    first: FloatArray
    """(M, Q) components of image 1."""
    second: FloatArray
    """(M, Q) components of image 2."""
    extra: FloatArray
    """(M, E) further columns that change their sign when the images change places."""
    extra_block: IntArray
    """(E,) int64 from 0, which of the further kinds each is of."""

    @classmethod
    def build(cls, judgments: MixJudgments, features: Tensor, blocks: Sequence[int] | None, components: int) -> Self:
        """Checks judgments and features and takes the components of those images that were judged."""
        judgments = judgments.validate()
        images, at = np.unique(np.concatenate([judgments.id1, judgments.id2]), return_inverse=True)
        if images[-1] >= len(features):
            raise DataError(
                f"judgments: ids must be in [0, {len(features) - 1}], the images with features, got {images[-1]}."
            )
        # Of judged images only: features of others may never have been computed, and are NaN then.
        values = features.detach().cpu()[torch.from_numpy(images)].double().numpy()
        if not np.isfinite(values).all():
            raise DataError(f"features of image {images[~np.isfinite(values).all(1)][0]} must be finite.")
        found = Components.fit(values, blocks or [values.shape[1]], components)
        first, second = found(values)[at.reshape(2, -1)]
        none = np.zeros((len(judgments.weight), 0))
        return cls(judgments, found, first, second, none, np.zeros(0, dtype=np.int64))

    @property
    def slices(self) -> dict[str, slice]:
        """Slice of the coefficients of each part; the slope is the first of all."""
        sizes = {
            "slope": 1,
            "class": self.judgments.num_classes,
            "image": self.first.shape[1],
            "extra": self.extra.shape[1],
            "participant": len(self.judgments.participants),
        }
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(*ends[i : i + 2]) for i, name in enumerate(sizes)}

    def design(self) -> tuple[FloatArray, IntArray]:
        """(M, P) columns of the logit of what participants see, and (P,) their blocks."""
        judgments, odds = self.judgments, _log_odds(self.judgments)[:, None]
        hot, participant_rows = np.eye(judgments.num_classes), np.eye(len(judgments.participants))
        columns = [
            odds,
            hot[judgments.label1] - hot[judgments.label2],
            self.first - self.second,
            self.extra,
            participant_rows[judgments.participant] * odds,
        ]
        # Blocks of one prior variance each: -1 the slope, which has none; 0 classes; 1 slopes of participants; from 2
        # on the kinds of features, then the extra columns.
        image = 2 + self.components.block
        extra = image.max() + 1 + self.extra_block
        block = np.concatenate(
            [[-1], np.zeros(judgments.num_classes, np.int64), image, extra, np.ones(len(participant_rows), np.int64)]
        )
        return np.concatenate(columns, 1), block

    def fit_shares(self) -> ShareFit:
        """Returns the fit of what participants see."""
        design, block = self.design()
        found = ridge_logit(design, block, self.judgments.answer).coefficients
        # Without participants' own slopes, which a new participant does not have: their spread counts in phi.
        common = slice(0, self.slices["participant"].start)
        h = expit(design[:, common] @ found[common])
        phi = np.square(self.judgments.answer - h).sum() / (h * (1 - h)).sum()
        return ShareFit(found, h, float(phi))

    def fit_confidence(self, seen: FloatArray) -> tuple[tuple[float, float, float], list[float]]:
        """Returns the line, and the weights of the features, of how sure participants are.

        Args:
            seen: (M,) share of image 1 that participants see.
        """
        judgments, asked = self.judgments, ~np.isnan(self.judgments.confidence)
        line = np.column_stack([np.ones_like(seen), np.abs(2 * judgments.weight - 1), np.abs(2 * seen - 1)])
        participant_rows, both = np.eye(len(judgments.participants)), self.first + self.second
        # Sums, not differences: two clear images make participants sure, whichever of them they see.
        design = np.concatenate([line, both, participant_rows[judgments.participant]], 1)
        block = np.concatenate([[-1, -1, -1], 1 + self.components.block, np.zeros(len(participant_rows), np.int64)])
        found = ridge_logit(design[asked], block, judgments.confidence[asked]).coefficients
        weights = self.components.to_feature_weights(found[3 : 3 + both.shape[1]])
        # Components are centred, the weights are for raw features: the means of both images go into the constant.
        base = float(found[0] - 2 * self.components.mean @ weights)
        return (base, float(found[1]), float(found[2])), weights.tolist()
