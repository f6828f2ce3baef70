"""Rate limit of joining participants: a token bucket, one for each link."""

import math

BURST = 300
"""Most who may join at once: a lecture hall behind one address."""
PER_SECOND = 2.0
"""Most who may join after that, each second."""


class TokenBucket:
    """Grants ``burst`` requests at once and ``per_second`` after that; what is not used up to ``burst`` is kept.

    Args:
        burst: most tokens that it holds; it starts full.
        per_second: tokens that it gains.

    Example:
        >>> bucket = TokenBucket(burst=2, per_second=0.5)
        >>> [bucket.wait(now) for now in (0.0, 0.0, 0.0, 2.0)]
        [0.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, burst: int = BURST, per_second: float = PER_SECOND) -> None:
        self._burst, self._per_second = float(burst), per_second
        # -inf: the first request finds the bucket full, whatever the clock reads.
        self._tokens, self._at = float(burst), -math.inf

    def wait(self, now: float) -> float:
        """Takes a token and returns 0, or returns in how many seconds there is one.

        Args:
            now: seconds of any clock; one that was set back gains nothing, and loses nothing.
        """
        gained = max(0.0, now - self._at) * self._per_second
        self._tokens, self._at = min(self._burst, self._tokens + gained), now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_second
