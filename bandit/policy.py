"""What every policy is: probabilities out, changes of reward in. Nothing here draws."""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange

HalfLife = tuple[float | None, float | None]  # of feedback, in rounds of it, or in hours: one of the two


@runtime_checkable
class Policy(Protocol):
    """A contextual-bandit policy over named arms.

    The constructor takes `d` (number of features) and `fingerprint` (of the encoder that made them), then its own
    options, all by keyword.
    """

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`, before the floor."""

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the state, in log order."""

    def add_arm(self, name: str) -> None:
        """Give a new arm the prior; an arm already known keeps what was learned of it."""

    def drop_arm(self, name: str) -> None:
        """Take an arm out of the running; its statistics stay, should it return."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if it cannot be used."""


@runtime_checkable
class PredictsQuality(Protocol):
    """A policy that can predict quality."""

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""


@runtime_checkable
class QuantifiesQuality(Protocol):
    """A policy that can say what quality it expects, and how sure it is of that."""

    def quality_and_deviation(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's expected quality and its standard deviation, not that of single answers.

        At features (d,) two arrays (K,), at those of m contexts (m, d) two arrays (m, K).
        """


@runtime_checkable
class GivesBeliefs(QuantifiesQuality, Protocol):
    """A policy that says what it expects along with its probabilities, which takes half as long as to ask twice."""

    def probs_and_beliefs(
        self, context: Context, arms: Sequence[str], penalties: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return what `probs` and, at the context's features, `quality_and_deviation` do, (K,) each."""


@runtime_checkable
class BatchPolicy(Protocol):
    """A policy that can be asked about many contexts at once."""

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""


@runtime_checkable
class LearnsPreferences(Protocol):
    """A policy that learns from preferences, too."""

    learns_preferences: Literal[True]

    def learn(self, changes: Sequence[RewardChange | PreferenceChange]) -> None:
        """Fold changes of reward and of preference in, in log order."""


@runtime_checkable
class NamesArms(Protocol):
    """A policy whose options name arms: those that the pool lacks are a mistake."""

    @property
    def named_arms(self) -> tuple[str, ...]:
        """The arms, each once."""


@runtime_checkable
class HasHalfLife(Protocol):
    """A policy that may forget at a half-life."""

    @property
    def half_life(self) -> HalfLife | None:
        """The half-life of feedback, in rounds of feedback or in hours; None: it counts for ever."""


@runtime_checkable
class SupportsDiscount(Protocol):
    """A policy that can take what it knows of an arm for little, once the arm has changed."""

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm."""

    def discount(self, arm: str, *, share: float) -> None:
        """Let the feedback on an arm so far count for a share in (0, 1]."""
