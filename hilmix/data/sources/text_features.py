"""Features of sentences where no language model is at hand: TF-IDF, reduced to a vector."""

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 1_000


def compute_dense_features(
    train: list[str], test: list[str], dimensions: int = DIMENSIONS, *, fewest: int = 2
) -> NDArray[np.float32]:
    """(N + M, D) features of sentences: TF-IDF of words and word pairs, reduced by a truncated SVD; deterministic.

    Sublinear counts of what enough training sentences hold. Both steps are fitted on the training sentences only. One
    factor for all numbers brings the mean square of the training features to 1. With the true labels of sentiment
    polarity a logistic regression is right on 73 % of held-out training sentences (74 % on the TF-IDF itself, 71 % with
    300 dimensions), and on 66 % of the test sentences (70 %), many of which are fragments.

    Args:
        train: N sentences.
        test: M sentences.
        dimensions: D, fewer than N and than the words and pairs that are kept.
        fewest: number of training sentences that must hold a word or pair for it to be kept.
    """
    from sklearn.decomposition import TruncatedSVD  # here: every command imports this module
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=fewest)
    reduce = TruncatedSVD(dimensions, n_iter=4, random_state=0)
    known = reduce.fit_transform(words.fit_transform(train))
    features = np.concatenate([known, reduce.transform(words.transform(test))])
    scaled: NDArray[np.float32] = (features / np.sqrt(np.square(known).mean())).astype(np.float32)
    return scaled
