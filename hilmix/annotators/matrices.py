"""Free parameters per annotator: how they start, and how each pair gets its own."""

import torch
from torch import Tensor, nn

from hilmix.functional.mixing import mix_rows
from hilmix.functional.precision import at_least_float32
from hilmix.functional.sizes import bytes_needed, require_memory
from hilmix.types import UNKNOWN, MixPlan


def diagonal_matrices(num_annotators: int, num_classes: int, diagonal: float, off_diagonal: float) -> nn.Parameter:
    """Returns (A, K, K) float parameters, the same matrix for every annotator.

    Args:
        num_annotators: A.
        num_classes: K.
        diagonal: value on the diagonal.
        off_diagonal: value elsewhere.

    Raises:
        DataError: where they, their gradients and two moments of an optimizer would fill the memory.
    """
    # The parameters, their gradients and the two moments of an optimizer of Adam's kind.
    require_matrices(num_annotators, num_classes, copies=4)
    matrix = torch.full((num_classes, num_classes), float(off_diagonal)).fill_diagonal_(diagonal)
    # repeat, not expand: annotators start alike but must not share memory.
    return nn.Parameter(matrix.repeat(num_annotators, 1, 1))


def require_matrices(num_annotators: int, num_classes: int, copies: int) -> None:
    """Refuses float32 matrices (A, K, K) that would fill the memory, before they are allocated.

    Args:
        num_annotators: A.
        num_classes: K.
        copies: how many of them are needed at once.

    Raises:
        DataError: with A, K and the gigabytes.
    """
    sizes = {"annotators": num_annotators, "classes": num_classes}
    needed = bytes_needed(**sizes, per_pair=copies, width=4)
    require_memory("A confusion matrix for each annotator", needed, **sizes)


def require_outputs(num_annotators: int, num_classes: int, rows: int) -> None:
    """Refuses a layer with (rows, K, K) float32 weights, its gradient and moments, before it is allocated.

    Args:
        num_annotators: A, for the message.
        num_classes: K.
        rows: inputs of the layer, and its bias.

    Raises:
        DataError: with A, K and the gigabytes.
    """
    needed = 4 * bytes_needed(annotators=rows, classes=num_classes, per_pair=1, width=4)
    require_memory("The layer of confusion matrices", needed, annotators=num_annotators, classes=num_classes)


def needs_matrices(table: Tensor, plan: MixPlan | None) -> bool:
    """Returns whether pairs need a matrix each: for a gradient of the table, or as annotators are mixed.

    Args:
        table: (A, K, K) parameters.
        plan: given if the rows are mixed pairs.
    """
    return plan is not None or (torch.is_grad_enabled() and table.requires_grad)


def gather_annotators(table: Tensor, annotator: Tensor, plan: MixPlan | None = None) -> Tensor:
    """Returns (L, ...) float32 or float64: for each pair the entry of its annotator, linear in the table.

    An annotator never seen in training gets the mean entry; mixed pairs get mixed entries. Both are what a product of
    the table with the (mixed, or uniform) one-hot annotator would give, without forming it.

    Args:
        table: (A, ...) float, one entry per annotator.
        annotator: (L,) int64 in [0, A), or -1.
        plan: given if the rows are mixed pairs.

    Example:
        >>> gather_annotators(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 1, -1])).tolist()
        [[1.0], [3.0], [2.0]]
    """
    # -1 would look up the last annotator: 0 is looked up in its place, and the mean taken.
    unknown = (annotator == UNKNOWN).reshape(-1, *[1] * (table.ndim - 1))
    entries = at_least_float32(torch.where(unknown, table.mean(0), table[annotator.clamp_min(0)]))
    return entries if plan is None else mix_rows(entries, plan.partner, plan.weight)
