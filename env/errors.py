"""Errors a caller can act on. Each message says what was wrong and what would be right."""


class HighwaymanError(Exception):
    """The root of every error Highwayman raises on purpose."""


class ConfigError(HighwaymanError):
    """A configuration or pool file says something Highwayman cannot follow."""


class NoEligibleArm(HighwaymanError):
    """No arm of the pool may answer this query; the message names why each was refused."""


class DataClassBarred(NoEligibleArm):
    """No arm that could answer this query may have data of its class; the message names class and rule."""


class BudgetExhausted(HighwaymanError):
    """A hard ceiling on dollars allows no arm now; the message says which, and when there is more."""


class UnknownArm(HighwaymanError):
    """A caller named a model that is neither an arm nor an alias."""


class UnknownDecision(HighwaymanError):
    """A decision id was never issued here, or its record has expired."""


class InvalidFeedback(HighwaymanError):
    """A feedback names an unknown metric or a value out of its range."""


class Unauthorized(HighwaymanError):
    """Nobody known here: no key, a wrong one, or a signature that does not fit."""


class UpstreamError(HighwaymanError):
    """Every attempt to reach a model server failed, or the one that had begun to answer broke off.

    `status` is the HTTP status to answer with, `attempts` how many calls were made, `retry_after_s` for how many
    seconds the servers asked to be left alone.
    """

    def __init__(
        self, message: str, *, status: int = 502, attempts: int = 1, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts
        self.retry_after_s = retry_after_s


class SnapshotError(HighwaymanError):
    """The bytes of a snapshot are damaged, of another schema, or hold numbers no policy can use."""


class EncoderError(HighwaymanError):
    """An encoder's assets or libraries are missing, or do not fit each other."""


class StoreUnavailable(HighwaymanError):
    """Redis did not answer; nothing was acknowledged."""
