"""The part of the configuration that says how answers are looked at before they are passed on."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from highwayman.bandit.cascade.plan import GOOD, CascadeRules, Threshold
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.confidence.loading import load_signals
from highwayman.env.confidence.signal import Signal
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.config.objective import Alias
from highwayman.serving.config.strict import Strict

_SignalSpec = str | dict[str, dict[str, Any]]
_FREE: tuple[_SignalSpec, ...] = ("Logprobs", "Refusal", "JsonFormat", "ToolArguments", "CompilingCode")
_ALIASES: tuple[Alias, ...] = ("auto", "auto-cheap", "auto-quality")


class ThresholdConfig(Strict):
    """A gate that is not learned: the next dearer arm is asked wherever a signal is below a number."""

    signal: str = Field(description="The signal that is looked at, by the name that `cascade.signals` tells it under.")
    threshold: float = Field(description="Below it, the next dearer arm is asked.")


class CascadeConfig(Strict):
    """Answers that are looked at, after which another arm may be asked."""

    gate: Literal["learned"] | ThresholdConfig = Field(
        default="learned",
        description="Who says whether to go on: `learned` from feedback, or a signal and its threshold.",
    )
    signals: Annotated[list[_SignalSpec], Field(min_length=1)] = Field(
        default_factory=lambda: list(_FREE), description="by class name, with options, or by module:Class"
    )
    max_stages: Annotated[int, Field(ge=2, le=8)] = Field(
        default=2, description="Answers to a request at most, the one served among them."
    )
    floor: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.02,
        description="Probability at most with which the other thing is done, so that both can be learned of.",
    )
    floor_loss: Annotated[float, Field(ge=0)] = Field(
        default=FLOOR_LOSS, description="Quality minus penalty that this may lose a request."
    )
    look_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="Seconds that further calls about an answer may take."
    )
    aliases: list[Alias] = Field(default_factory=lambda: list(_ALIASES), description="whose requests may be cascades")

    @model_validator(mode="after")
    def _signals_are_known(self) -> Self:
        """Raise ValueError for a signal that cannot be had, or a gate by one that nothing tells."""
        for spec in self.signals:
            if isinstance(spec, Mapping) and len(spec) != 1:
                raise ValueError(f"signals: {dict(spec)} names {len(spec)} signals; give each an entry of its own")
        try:
            told = [name for signal in self.load_signals() for name in signal.names]
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("cascade.")) from None
        if isinstance(self.gate, ThresholdConfig) and self.gate.signal not in (*told, GOOD):
            hint = did_you_mean(self.gate.signal, told)
            raise ValueError(
                f"gate.signal: none of the signals tells {self.gate.signal!r}{hint}; told are {', '.join(told)}, "
                f"and {GOOD}, the learned gate"
            )
        return self

    def load_signals(self) -> tuple[Signal, ...]:
        """Return the signals. Raises ConfigError."""
        return load_signals(self.signals)

    def rules(self) -> CascadeRules:
        """Return it as a plan takes it."""
        gate = self.gate
        threshold = Threshold(gate.signal, gate.threshold) if isinstance(gate, ThresholdConfig) else None
        return CascadeRules(
            max_stages=self.max_stages, floor=self.floor, floor_loss=self.floor_loss, threshold=threshold
        )
