"""Trust zones in `highwayman.yaml`: which class of data may go to the arms of which zone, and who says what it is."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from highwayman.env.class_paths import class_at
from highwayman.env.data_class import DataClass
from highwayman.env.errors import ConfigError
from highwayman.env.privacy.detector import Detector
from highwayman.env.privacy.pattern_detector import PatternDetector
from highwayman.env.privacy.rules import PrivacyRules
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.config.strict import Strict

ClassName = Literal["public", "internal", "personal", "secret"]
Zone = Annotated[str, Field(min_length=1)]
_PATTERNS, _NONE = "patterns", "none"


class PrivacyConfig(Strict):
    """What may go where. A class without an entry is under that of the next lower one that has one."""

    classes: Annotated[dict[ClassName, list[Zone]], Field(min_length=1)] = Field(
        description="zones whose arms may have data of the class; an empty list: none may"
    )
    default: ClassName = Field(default="public", description="The class of requests of which nobody says anything.")
    unread: ClassName = Field(
        default="secret", description="The class of what a detector cannot read: images, sound, files, token ids."
    )
    stored: ClassName = Field(
        default="internal", description="The highest class whose prompts and answers may be kept."
    )
    tenants: dict[str, ClassName] = Field(default_factory=dict, description="the least class of a tenant's requests")
    keys: dict[str, ClassName] = Field(default_factory=dict, description="the least class by the id of an API key")
    detector: str = Field(default=_PATTERNS, description="`patterns`, `none`, or a class of yours as `module:Class`.")
    detector_options: dict[str, Any] = Field(default_factory=dict, description="what its class takes, as keywords")
    detector_s: Annotated[float, Field(gt=0)] = Field(
        default=0.5, description="Seconds that the detector may take; beyond, a request is secret."
    )
    kinds: dict[str, ClassName] = Field(default_factory=dict, description="other classes of what a detector knows")
    redact: list[ClassName] = Field(
        default_factory=list, description="classes of which arms get placeholders; answers come back with the values"
    )
    encoder_zone: Zone | None = Field(
        default=None, description="Where the encoder's engine is; null: in this process, if it is a shipped one."
    )
    images_zone: Zone | None = Field(default=None, description="Where what looks at images is, likewise.")

    def rules(self) -> PrivacyRules:
        """Return them as decisions take them."""
        zones = {DataClass.labelled(name): allowed for name, allowed in self.classes.items()}
        return PrivacyRules(zones, stored=DataClass.labelled(self.stored))

    def zones(self) -> set[str]:
        """Return those that something may go to."""
        return {zone for zones in self.classes.values() for zone in zones}

    def check_zones(self, pool: Iterable[str]) -> None:
        """Raise ConfigError for a zone in which there is no arm, and no encoder: nothing could go there."""
        known = sorted({*pool, *filter(None, (self.encoder_zone, self.images_zone))})
        for name, zones in self.classes.items():
            for zone in zones:
                if zone not in known:
                    raise ConfigError(
                        f"privacy.classes.{name}: no arm of the pool has `zone: {zone}`{did_you_mean(zone, known)}; "
                        f"there are {', '.join(known)}"
                    )

    def load_detector(self) -> Detector | None:
        """Return it, None where there is none. Raises ConfigError for a class that cannot be made."""
        if self.detector in (_PATTERNS, _NONE):
            if self.detector_options:
                raise ConfigError(f"privacy.detector_options: {self.detector} takes none; only module:Class does")
            return PatternDetector() if self.detector == _PATTERNS else None
        try:
            detector: Detector = class_at(self.detector)(**self.detector_options)
        except (ImportError, AttributeError, TypeError, ValueError, OSError) as error:
            raise ConfigError(
                f"privacy.detector: {self.detector!r}: {error}; take {_PATTERNS}, {_NONE}, or module:Class"
            ) from error
        if not callable(getattr(detector, "detect", None)):
            raise ConfigError(f"privacy.detector: {self.detector!r} has no method detect(text)")
        return detector

    def zone_of(self, engine: str, given: str | None) -> str | None:
        """Return the zone of an engine; None: this process. One of the user's own may ask who knows whom."""
        return given or ("default" if ":" in engine else None)
