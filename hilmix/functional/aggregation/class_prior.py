"""Aggregation under class shares that are known, in place of those that a method learns or takes for equal."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hilmix.checks import check_choice
from hilmix.errors import ConfigError
from hilmix.functional.aggregation.registry import Aggregate, aggregate
from hilmix.functional.aggregation.sparse_posterior import dense_posterior
from hilmix.functional.aggregation.vote_table import FloatArray, Votes, VoteTable

BAYESIAN = ("dawid-skene", "one-coin", "zencrowd", "ibcc", "ebcc", "ptbcc", "glad", "mace")
"""Methods whose distribution is Bayes' rule under a class prior, which is that of an item without votes."""


def read_class_prior(texts: Sequence[str], classes: Sequence[str]) -> FloatArray:
    """Returns (K,) shares from texts such as ``cat=0.9 dog=0.1``, or equal ones from ``uniform``.

    Args:
        texts: ``uniform``, or one ``CLASS=SHARE`` for each class, in any order.
        classes: K names.

    Raises:
        ConfigError: for a class that is missing, unknown or there twice, or a share that is no number.

    Example:
        >>> read_class_prior(["dog=1", "cat=3"], ["cat", "dog"]).tolist()
        [3.0, 1.0]
    """
    if list(texts) == ["uniform"]:
        return np.ones(len(classes))
    names = [text.rpartition("=")[0] for text in texts]
    if sorted(names) != sorted(classes):
        must = f"'uniform', or CLASS=SHARE for each of {', '.join(classes)}"
        raise ConfigError(f"`class_prior` must be {must}, got '{' '.join(texts)}'.")
    try:
        shares = dict(zip(names, (float(text.rpartition("=")[2]) for text in texts), strict=True))
    except ValueError as error:
        raise ConfigError(f"`class_prior` must hold numbers, got '{' '.join(texts)}'.") from error
    return np.array([shares[name] for name in classes])


def aggregate_under(prior: FloatArray, method: str, votes: Votes, **settings: Any) -> Aggregate:
    """Returns an aggregate whose posterior is Bayes' rule under a given class prior.

        p'(c | votes) ~ p(c | votes) prior[c] / p(c)

    Annotators are estimated as without it: known shares decide between classes, not who is trusted. Of the methods that
    integrate the class prior out (ibcc, ebcc, ptbcc) p(c) is its posterior mean.

    Args:
        prior: (K,) positive shares of the classes, scaled to sum to 1.
        method: one of :data:`BAYESIAN`.
        votes: the annotations.
        **settings: ``seed`` and ``on_round`` of :func:`~hilmix.functional.aggregation.aggregate`.

    Raises:
        ConfigError: for another method, or shares that are not K positive numbers.

    Reference:
        M. Saerens, P. Latinne and C. Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities,
        Neural Computation 14 (2002), equation 2.4.
    """
    check_choice("method with a class prior", method, BAYESIAN)
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (votes.num_classes,) or not (np.isfinite(shares).all() and (shares > 0).all()):
        raise ConfigError(f"`class_prior` must be {votes.num_classes} positive numbers, got {shares.tolist()}.")
    # An item more, without votes: its distribution is the method's own prior, and it changes nothing else.
    sizes = (votes.num_items + 1, votes.num_annotators, votes.num_classes)
    gold = None if votes.gold is None else np.append(votes.gold, -1)
    padded = VoteTable(votes.item, votes.annotator, votes.label, *sizes, probs=votes.probs, gold=gold)
    result = aggregate(method, padded, **settings)
    found = dense_posterior(result.posterior, copies=3)
    posterior = found[:-1] * (shares / shares.sum() / found[-1])
    return result._replace(posterior=posterior / posterior.sum(axis=1, keepdims=True))
