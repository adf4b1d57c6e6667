"""Student's t, for intervals of a mean from few seeds or few sessions."""

from importlib import import_module
from typing import Any

from highwayman.env.errors import ConfigError


def student_t(degrees: int, confidence: float = 0.95) -> float:
    """Return the t with P(|T| < t) = `confidence` under Student's distribution with `degrees` >= 1 degrees of freedom.

    Raises:
        ValueError: degrees below 1, or a confidence outside of (0, 1).
        ConfigError: scipy is missing.
    """
    if degrees < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(f"need degrees >= 1 and confidence in (0, 1), got {degrees!r} and {confidence!r}")
    return float(import_special().stdtrit(degrees, (1.0 + confidence) / 2))


def import_special() -> Any:
    """Return scipy.special. Raises ConfigError, which names the extra, where scipy is not installed.

    Imported late: the command line imports `simulate` for `serve`, too, which does without the extra, and which it
    would cost a quarter of a second.
    """
    try:
        return import_module("scipy.special")
    except ImportError as error:
        raise ConfigError(f"intervals are computed with scipy: pip install 'highwayman[sims]' ({error})") from None
