"""The normal interval with a standard error that knows sessions: the cheap default."""

from highwayman.sims.measures.student_t import import_special, student_t
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.session_sums import SessionSums


class Normal:
    """value +- t * stderr: the clustered sandwich, and Student's quantile with m - 1 degrees of freedom.

    The delta method for a ratio of means (Cochran, "Sampling Techniques", 1977, section 6.3), summed over the m
    sessions first: rounds of one person are not independent. Its coverage is right in the limit of many sessions.
    Routing breaks what the limit assumes when the logging policy learned while logging (use the confidence sequence),
    and when few rounds carry most of the weight: `steady` then widens it.
    """

    def __init__(self, *, level: float = 0.95) -> None:
        """Start without rounds.

        Raises:
            ValueError: a level outside (0, 1).
            ConfigError: scipy is missing; known before a long log is read.
        """
        import_special()
        self._level = checked_level(level)
        self._sums = SessionSums()
        self._sessions = 0  # before pseudo-rounds came
        self._least_stderr = 0.0

    def add(self, rounds: RoundValues) -> None:
        """Take the next rounds."""
        self._sums.add(rounds)

    def steady(self, rounds: RoundValues) -> None:
        """Take pseudo-rounds, which widen the interval and are no sessions."""
        stderr, sessions = self._sums.stderr()
        if sessions > 1:
            self._sessions, self._least_stderr = sessions, stderr
            self._sums.add(rounds)

    def interval(self) -> tuple[float, float]:
        """Return the lower and the upper end; NaN for fewer than two sessions."""
        stderr, sessions = self._sums.stderr()
        value = self._sums.value()
        reach = student_t(max((self._sessions or sessions) - 1, 1), self._level) * max(stderr, self._least_stderr)
        return value - reach, value + reach


def checked_level(level: float) -> float:
    """Return the confidence level. Raises ValueError unless it lies in (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    return level
