"""What keeps data where it may be, put together as the configuration has it."""

from contextlib import AsyncExitStack

from highwayman.env.data_class import DataClass
from highwayman.env.pool.eligibility import Pool
from highwayman.serving.completions.privacy.cleared_encoder import ClearedEncoder
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.privacy.text_reader import TextReader
from highwayman.serving.metrics import Metrics
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.settings import Settings


def build_guard(stack: AsyncExitStack, settings: Settings) -> DataGuard | None:
    """Return it, None without rules. Raises ConfigError for a zone that no arm is in, or a detector that cannot be."""
    config = settings.config.privacy
    if config is None:
        return None
    config.check_zones([*(arm.zone for arm in settings.arms), *(model.arm.zone for model in settings.named)])
    detector, reader = config.load_detector(), None
    if detector is not None:
        kinds = {kind: DataClass.labelled(name) for kind, name in config.kinds.items()}
        reader = TextReader(detector, kinds, timeout_s=config.detector_s)
        stack.callback(reader.close)
    return DataGuard(
        config.rules(),
        reader,
        default=DataClass.labelled(config.default),
        unread=DataClass.labelled(config.unread),
        tenants={name: DataClass.labelled(label) for name, label in config.tenants.items()},
        keys={name: DataClass.labelled(label) for name, label in config.keys.items()},
        redacted=frozenset(map(DataClass.labelled, config.redact)),
        encoder_zone=config.zone_of(settings.config.encoder.engine, config.encoder_zone),
    )


def cleared_encoder(
    settings: Settings, log: LogComponents, pool: Pool, *, guard: DataGuard, metrics: Metrics
) -> ClearedEncoder:
    """Return what encodes requests that have a class."""
    images, config = settings.config.images, settings.config.privacy
    images_zone = None if images is None or config is None else config.zone_of(images.engine, config.images_zone)
    return ClearedEncoder(log.factory.encoder, pool, guard.encoder_zone, images_zone, metrics.on_masked)
