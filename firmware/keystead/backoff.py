"""Back-off: how long to wait before the next attempt.

Owns the arithmetic; the dice are thrown by the caller.
"""


def backoff(attempt: int, chance: float, base: int = 2, ceiling: int = 300) -> float:
    """Return seconds to wait before attempt number 1, 2, ...: exponential with full jitter.

    chance is uniform in [0, 1). The wait is between 0 and base * 2^(attempt - 1), never above
    ceiling: a thousand boards that lost power together do not come back together.
    """
    return min(ceiling, base << min(attempt - 1, 16)) * chance
