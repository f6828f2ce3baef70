"""Masks as people may really give them: few, shifted, too large, of people who mark the wrong part."""

from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from experiments.explanations.settings import EXACT
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import Masks

MASK_SEED = 0


class MaskCase(NamedTuple):
    """Masks of training images. Spelled as ``share=0.05 repeat=4``, and as ``exact`` where nothing differs."""

    share: float = 1.0
    """Of the training images, drawn at random; a smaller share is a part of a larger one."""
    repeat: int = 1
    """Number of times that an explained image is seen in an epoch."""
    shift: int = 0
    """Pixels that each mask is moved by, to one of four sides."""
    dilate: int = 0
    """Pixels that each mask grows by on all sides."""
    wrong: float = 0.0
    """Probability that a person marks what matters in place of what does not."""
    people: int = 1
    """Number of annotators who each give a mask of every explained image."""
    how: Literal["union", "agreement"] = "union"
    """Rule by which their masks become one."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Reads a case."""
        fields = {} if text == EXACT else dict(part.split("=") for part in text.split())
        kinds = {name: type(value) for name, value in cls._field_defaults.items()}
        return cls(**{name: kinds[name](value) for name, value in fields.items()})

    def __str__(self) -> str:
        changed = [
            f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}"
            for k, v in self._asdict().items()
            if v != self._field_defaults[k]
        ]
        return " ".join(changed) or EXACT

    @property
    def is_exact(self) -> bool:
        return self == MaskCase()

    def explained(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the training rows that are explained, in order."""
        order = np.random.default_rng([MASK_SEED, 0]).permutation(rows)
        return np.sort(order[: max(1, round(self.share * len(rows)))])

    def masks(self, data: AnnotatedData, rows: NDArray[np.int64]) -> Masks:
        """The masks of explained training rows, by ``people`` persons, and those of all other items as they are."""
        assert data.masks is not None
        others, mine = np.setdiff1d(np.arange(len(data)), rows), self.explained(rows)
        right = data.masks.fetch(mine)
        pictures, item, person = [data.masks.fetch(others)], [others], [np.zeros_like(others)]
        for who in range(self.people):
            rng = np.random.default_rng([MASK_SEED, 1, who])
            pictures.append(self._drawn(right, rng))
            item.append(mine)
            person.append(np.full_like(mine, who))
        drawn = torch.cat(pictures).permute(0, 2, 3, 1).numpy()
        return Masks.build(
            np.concatenate(item),
            np.concatenate(person),
            ArrayInputs(drawn, "image"),
            num_items=len(data),
            annotators=[f"person-{who + 1}" for who in range(self.people)],
        )

    def _drawn(self, right: Tensor, rng: np.random.Generator) -> Tensor:
        """Draws the masks of one annotator in place of the right ones (M, C, H, W)."""
        sides, wrong = rng.integers(4, size=len(right)), rng.random(len(right)) < self.wrong
        drawn = grown(shifted(right, sides, self.shift), self.dilate)
        inverted = drawn.amax() - drawn if len(drawn) else drawn
        return torch.where(torch.from_numpy(wrong)[:, None, None, None], inverted, drawn)


def shifted(masks: Tensor, sides: NDArray[np.int64], pixels: int) -> Tensor:
    """Each of the masks (M, C, H, W) moved by so many pixels down, up, right or left; nothing comes in."""
    if not pixels:
        return masks
    moved, (high, wide) = torch.zeros_like(masks), masks.shape[2:]
    for side, (down, right) in enumerate(((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))):
        some = torch.from_numpy(np.flatnonzero(sides == side))
        to = slice(max(0, down), high + min(0, down)), slice(max(0, right), wide + min(0, right))
        at = slice(max(0, -down), high + min(0, -down)), slice(max(0, -right), wide + min(0, -right))
        part = torch.zeros_like(masks[some])
        part[:, :, to[0], to[1]] = masks[some][:, :, at[0], at[1]]
        moved[some] = part
    return moved


def grown(masks: Tensor, pixels: int) -> Tensor:
    """The masks (M, C, H, W), each marked pixel with all that are at most so many pixels away in both directions."""
    if not pixels:
        return masks
    return max_pool2d(masks.float(), 2 * pixels + 1, stride=1, padding=pixels).to(masks.dtype)
