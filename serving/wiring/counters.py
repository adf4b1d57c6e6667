"""Which series are shown from the start on, at zero: those whose labels the configuration tells."""

import time
from typing import get_args

from highwayman.env.data_class import ENCODER_MASKED
from highwayman.env.encoder.encoder import FAILURE, TIMEOUT
from highwayman.env.encoder.features.image_features import UNSEEN
from highwayman.feedback.judge.types import NoVerdictReason
from highwayman.serving.http.errors import CODES
from highwayman.serving.metrics import Metrics
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.settings import Settings

_SHADOWED = ("answered", "failed", "busy", "no_other_arm", "no_dollars_left")
_LOOKED_UP = ("exact", "semantic", "none")


def start_at_zero(metrics: Metrics, settings: Settings, log: LogComponents) -> None:
    """Show what can be counted from the start on, as far as it is configured."""
    config, spec = settings.config, log.factory.spec
    metrics.spooled = lambda: log.journal.waiting
    metrics.on_reload(taken=True, at=time.time())
    metrics.start_at_zero(settings.arms)
    judged = (*get_args(NoVerdictReason), *spec.metrics) if config.feedback.judge.arms else ()
    metrics.start_values_at_zero(
        {
            "request_errors": CODES,
            "degraded_contexts": (TIMEOUT, FAILURE, ENCODER_MASKED, UNSEEN),
            "feedback": spec.metrics,
            "feedback_delay_seconds": spec.metrics,
            "judged": judged,
            "shadowed": _SHADOWED if config.shadow.rate else (),
            "answer_lookups": () if config.answer_cache is None else _LOOKED_UP,
        }
    )
