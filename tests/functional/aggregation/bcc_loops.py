"""Bayesian classifier combination with loops over everything: the updates, the bound term by term, the evidence."""

import itertools
import math

import numpy as np
from scipy import stats
from scipy.special import digamma, gammaln

from tests.functional.aggregation.tables import Loose


def label_prior(k, right, wrong):
    return [[right if s == c else wrong for s in range(k)] for c in range(k)]


def expected_logs(alpha):
    return [digamma(x) - digamma(sum(alpha)) for x in alpha]


def parameters(votes: Loose, q, sizes, pseudo):
    """Dirichlet parameters of the class prior, the subtypes and every annotator's labels; ``q[i][c][g]``."""
    a, k, m = sizes
    right, wrong, classes, subtypes = pseudo
    voted = sorted({i for i, _, _ in votes})
    tau = [classes + sum(q[i][c][g] for i in voted for g in range(m)) for c in range(k)]
    pi = [[subtypes / m + sum(q[i][c][g] for i in voted) for g in range(m)] for c in range(k)]
    v = [[[list(label_prior(k, right, wrong)[c]) for _ in range(m)] for c in range(k)] for _ in range(a)]
    for i, who, share in votes:
        for c, g, s in itertools.product(range(k), range(m), range(k)):
            v[who][c][g][s] += q[i][c][g] * share[s]
    return tau, pi, v


def states(votes: Loose, tau, pi, v, items, k, m):
    """The factor of every item given those of the parameters."""
    q = {}
    for i in items:
        weight = [[0.0] * m for _ in range(k)]
        for c, g in itertools.product(range(k), range(m)):
            log = expected_logs(tau)[c] + expected_logs(pi[c])[g]
            for j, who, share in votes:
                if j == i:
                    log += sum(share[s] * expected_logs(v[who][c][g])[s] for s in range(k))
            weight[c][g] = math.exp(log)
        total = sum(map(sum, weight))
        q[i] = [[x / total for x in row] for row in weight]
    return q


def bound(votes: Loose, q, tau, pi, v, sizes, pseudo):
    """Expected log joint plus the entropies of all factors."""
    a, k, m = sizes
    right, wrong, classes, subtypes = pseudo
    log_tau, value = expected_logs(tau), 0.0
    for i in q:
        for c, g in itertools.product(range(k), range(m)):
            p = q[i][c][g]
            value += p * (log_tau[c] + expected_logs(pi[c])[g]) - (p * math.log(p) if p > 0 else 0.0)
            value += sum(
                p * share[s] * expected_logs(v[who][c][g])[s] for j, who, share in votes if j == i for s in range(k)
            )
    rows = [(tau, [classes] * k)] + [(row, [subtypes / m] * m) for row in pi]
    rows += [
        (v[w][c][g], label_prior(k, right, wrong)[c])
        for w, c, g in itertools.product(range(a), range(k), range(m))
    ]  # fmt: skip
    for alpha, prior in rows:
        if len(alpha) > 1:  # scipy has no distribution on one point, whose density and entropy are those of nothing
            logs = expected_logs(alpha)
            value += gammaln(sum(prior)) + sum((p - 1) * log - gammaln(p) for p, log in zip(prior, logs, strict=True))
            value += float(stats.dirichlet(alpha).entropy())
    return value


def slow_bcc(votes: Loose, start, rounds, sizes, pseudo):
    """Rounds from the states ``start[i][c][g]`` of the items with votes; returns the states and all bounds."""
    q, bounds = start, []
    for _ in range(rounds):
        tau, pi, v = parameters(votes, q, sizes, pseudo)
        q = states(votes, tau, pi, v, list(start), *sizes[1:])
        bounds.append(bound(votes, q, tau, pi, v, sizes, pseudo))
    return q, bounds


def exact(votes: Loose, items, sizes, pseudo):
    """log p(labels) and p(class | labels) of hard labels, by enumeration of the states of all items."""
    _, k, m = sizes
    log_joint, assignments = [], list(itertools.product(range(k), range(m)))
    every = list(itertools.product(assignments, repeat=len(items)))
    for assigned in every:
        q = {
            i: [[float((c, g) == s) for g in range(m)] for c in range(k)] for i, s in zip(items, assigned, strict=True)
        }
        after, before = parameters(votes, q, sizes, pseudo), parameters([], {}, sizes, pseudo)
        log_joint.append(log_normalisers(*after) - log_normalisers(*before))
    weight = np.exp(np.array(log_joint) - max(log_joint))
    posterior = np.zeros((len(items), k))
    for assigned, w in zip(every, weight / weight.sum(), strict=True):
        for row, (c, _) in enumerate(assigned):
            posterior[row, c] += w
    return max(log_joint) + math.log(weight.sum()), posterior


def log_normalisers(tau, pi, v):
    rows = [tau, *pi, *(row for matrix in v for by_subtype in matrix for row in by_subtype)]
    return sum(sum(map(gammaln, row)) - gammaln(sum(row)) for row in rows)
