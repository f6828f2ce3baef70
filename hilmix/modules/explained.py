"""Requirements of explanation losses on a training step."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from torch.nn.attention import SDPBackend, sdpa_kernel

from hilmix.errors import ConfigError
from hilmix.explanations import Explanation
from hilmix.types import Batch


def require_masks(there: bool) -> None:
    """Refuses explanation losses where nothing is explained.

    Raises:
        ConfigError: unless masks are there.
    """
    if not there:
        raise ConfigError(
            "model.explanations need masks of what must not matter; the training items have none. Put drawings into "
            "masks/ of the data folder (docs/data_folder.md), or leave explanations out."
        )


def require_explainable(batch: Batch, explanations: Iterable[Explanation]) -> None:
    """Refuses a batch that explanation losses cannot read.

    Raises:
        ConfigError: if the batch has no masks, or mixes a hidden layer that one of the losses cannot follow.
    """
    require_masks(batch.mask is not None)
    walking = [type(part).__name__ for part in explanations if part.walks_network]
    if walking and batch.plan is not None and batch.plan.layer != "input":
        raise ConfigError(
            f"{walking[0]} walks the network layer by layer and cannot follow data.mix into the layer "
            f"'{batch.plan.layer}'; mix inputs (ItemMix, AnnotMix), or take RRR, AvgEx or PGDEx."
        )


def double_backward_attention(wanted: bool) -> AbstractContextManager[None]:
    """Returns a context in which attention can be differentiated twice: only its plain form can, not the fused ones."""
    return sdpa_kernel(SDPBackend.MATH) if wanted else nullcontext()
