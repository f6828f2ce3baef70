"""Likelihood of annotators' labels, plain or mixed, and the volume that identifies a mixture of them."""

import torch
from torch import Tensor

from hilmix.functional.calibration import sum_dtype
from hilmix.functional.mixing import mix_rows, partner_rows
from hilmix.types import MixPlan


def label_log_likelihood(label_log_probs: Tensor, label: Tensor, probs: Tensor | None = None) -> Tensor:
    """Returns (L,) log-likelihood of each answer: ``log q[label]``, or ``sum_k probs[k] log q[k]`` for soft ones.

    Args:
        label_log_probs: (L, K) float, log q: what the annotator is expected to say.
        label: (L,) int64.
        probs: optional (L, K) float soft answers, which then count in place of the label.
    """
    if probs is None:
        return label_log_probs.gather(1, label.unsqueeze(1)).squeeze(1)
    return (probs.to(label_log_probs.dtype) * label_log_probs).sum(1)


def annotation_nll(
    label_log_probs: Tensor, label: Tensor, probs: Tensor | None, row: Tensor, plan: MixPlan | None = None
) -> Tensor:
    """Returns (L,) the negative log-likelihood of each answer of a batch under its mix plan.

    * no plan: ``-log q_i[z_i]``
    * plan over pairs: ``-w_i log q_i[z_i] - (1 - w_i) log q_i[z_partner(i)]``, which is the cross-entropy with the
      mixed one-hot label of annot-mix
    * plan over items: every answer counts on its own mixed row with ``w`` and on the row of which its item is the
      partner with ``1 - w``; one answer per item gives mixup (Zhang et al., ICLR 2018)
    * plan over items with shares (h, u) of each answer on both rows: ``-h log q[z] - u sum_k log q[k] / K`` on each,
      what its annotator would say of the blend

    Over the draws the weights of the answers sum to L (over items with equally many answers in every draw).

    Args:
        label_log_probs: (L, K) float, or (2L, K) under a plan over items: first the own rows, then the partner rows.
        label: (L,) int64.
        probs: optional (L, K) float soft answers.
        row: (L,) int64 item row of each pair.
        plan: how the rows were mixed.

    Reference: Herde et al., "annot-mix", ECAI 2024, section 1 of the loss.
    """
    if plan is None:
        return -label_log_likelihood(label_log_probs, label, probs)
    if plan.rows == "pairs":
        partner_probs = None if probs is None else probs[plan.partner]
        own = label_log_likelihood(label_log_probs, label, probs)
        other = label_log_likelihood(label_log_probs, label[plan.partner], partner_probs)
        weight = plan.weight.to(label_log_probs.dtype)
        return -torch.lerp(other, own, weight)
    if plan.shares is not None:
        answers = None if probs is None else probs.repeat(2, 1)
        terms = torch.stack(
            [label_log_likelihood(label_log_probs, label.repeat(2), answers), label_log_probs.mean(1)], 1
        )
        return -(plan.shares.to(label_log_probs.dtype) * terms).sum(1).reshape(2, -1).sum(0)  # own and partner row
    own_log_probs, partner_log_probs = label_log_probs.chunk(2)
    weight = plan.weight.to(label_log_probs.dtype)
    own = weight[row] * label_log_likelihood(own_log_probs, label, probs)
    other = (1 - weight[partner_rows(row, plan.partner)]) * label_log_likelihood(partner_log_probs, label, probs)
    return -(own + other)


def negative_log_volume(gram: Tensor, ridge: float = 1e-6) -> Tensor:
    """Returns ``-log det(gram + ridge I)``, small where the rows behind a Gram matrix span a large volume.

    The ridge bounds the value by ``-K log ridge`` and keeps the gradient finite where the matrix is singular: fewer
    rows than classes, a class that nothing predicts.

    Args:
        gram: (K, K) float, positive semi-definite with a trace of at most about K: a mean of outer products, summed in
            float64, as rounding in float32 makes of a zero eigenvalue one of about 1e-7 K.
        ridge: above what rounding in float64 can make of a zero eigenvalue.

    Reference: Fu et al., "Robust Volume Minimization-Based Matrix Factorization", IEEE TSP 2016, the ridge inside the
    log-determinant.
    """
    exact = gram.to(sum_dtype(gram.device))
    eye = torch.eye(len(gram), dtype=exact.dtype, device=gram.device)
    # slogdet, as the determinant of many small eigenvalues underflows.
    log_volume: Tensor = torch.linalg.slogdet(exact + ridge * eye).logabsdet
    return -log_volume.to(gram.dtype)


def mixed_cross_entropy(
    log_probs: Tensor, target: Tensor, plan: MixPlan | None = None, shares: Tensor | None = None
) -> Tensor:
    """Returns (R,) the cross-entropy of each row with soft targets, mixed as the plan says.

    ``-w_r <t_r, log p_r> - (1 - w_r) <t_partner(r), log p_r>``; rows of zeros in ``target`` count nothing.
    With shares (h, g, u) of each row: ``-h_r <t_r, log p_r> - g_r <t_partner(r), log p_r> - u_r mean(log p_r)``.

    Args:
        log_probs: (R, K) float, of mixed rows.
        target: (R, K) float, of the rows before mixing.
        plan: how they were mixed; None for not at all.
        shares: optional (R, 3) float, how the labels were mixed if not as the inputs were; see
            :func:`~hilmix.functional.mixing.row_shares`.
    """
    if plan is not None and shares is not None:
        own, other, uniform = shares.to(target.dtype).unsqueeze(2).unbind(1)
        target = own * target + other * target[plan.partner] + uniform / target.shape[1]
    elif plan is not None:
        # Cross-entropy is linear in the target: mixed targets save a second pass over log_probs.
        target = mix_rows(target, plan.partner, plan.weight)
    return -(target * log_probs).sum(1)
