"""What a policy sees of a query, and the flags that say what else holds of it; d features."""

from dataclasses import dataclass, replace

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types.aliases import Floats

NO_EXPLORATION = "no_exploration"  # a context's flag: arms that look worse were not to be tried
CLIENT_TASK = "client_task"  # a context's flag: a chat client's own call, such as for a title; nobody rates its answer
TOOLS_DROPPED = "tools_dropped"  # a context's flag: no arm takes tools, so the request goes on without them
RESTING_FLAG = "resting:"  # begins a context's flag that names an arm left out since its servers rest after failures
CONTROL = "control"  # a context's flag: the control slice drew the arm, from its baseline
# Begins a context's flag of every decision that the control slice might have drawn: its share of the draws, and the
# probability that the baseline gives the arm drawn.
BASELINE_FLAG = "baseline:"
SIMILARITY_FLAG = "similarity:"  # begins a context's flag that says how like a stored question is, whose answer may do
STORED_BY_FLAG = "stored_by:"  # begins a context's flag that names the arm which gave that answer
SHADOW_OF_FLAG = "shadow_of:"  # begins a flag that names the decision whose request another arm answered, too, unseen
STORED_FROM_FLAG = "stored_from:"  # begins a context's flag that names the decision it was first given on
DELEGATED = "delegated"  # a context's flag: whoever asked calls the arm itself, and tells what came of it
# A context's flag of a decision that another router took: only the propensity of its arm is known, the rest stands
# evenly at the others.
ONLY_DRAWN = "only_drawn"
SCRIPT_FLAG = "script:"  # begins a context's flag that names the script of the prompt, where it is not Latin


@quick_dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a policy sees of a query: features (d,), the last of them 1.0, exactly representable in float32."""

    features: Floats  # what the encoder made of it
    fingerprint: str  # of the encoder; features of another fingerprint do not mix
    prompt_tokens: int  # estimated
    flags: frozenset[str] = frozenset()  # e.g. "encoder_timeout": the text part is missing (zeros); NO_EXPLORATION

    @property
    def script(self) -> str:
        """The script of most of the prompt; empty: Latin."""
        return self._said(SCRIPT_FLAG) if self.flags else ""

    @property
    def stored_by(self) -> str:
        """The arm that gave the stored answer which may do for this query; empty: there is none."""
        return self._said(STORED_BY_FLAG)

    @property
    def stored_from(self) -> str:
        """The decision on which that answer was first given; empty: there is none."""
        return self._said(STORED_FROM_FLAG)

    def _said(self, beginning: str) -> str:
        """Return what stands behind the beginning of a flag, empty where there is none such."""
        if not self.flags:  # as most have none
            return ""
        return next((flag.removeprefix(beginning) for flag in self.flags if flag.startswith(beginning)), "")

    @property
    def resting(self) -> tuple[str, ...]:
        """The arms that could have answered, but for failures of their servers."""
        return tuple(sorted(flag.removeprefix(RESTING_FLAG) for flag in self.flags if flag.startswith(RESTING_FLAG)))

    @property
    def shadow_of(self) -> str:
        """The id of the decision whose request this is an unseen second answer to, its arm drawn; empty: it is none."""
        return self._said(SHADOW_OF_FLAG)

    @property
    def control(self) -> "ControlDraw | None":
        """How the control slice took part in the draw, None where it did not. Raises ValueError for a damaged flag."""
        if not self.flags:
            return None
        told = next((flag.removeprefix(BASELINE_FLAG) for flag in self.flags if flag.startswith(BASELINE_FLAG)), None)
        if told is None:
            return None
        share, baseline_prob = map(float, told.split(":"))
        return ControlDraw(share, baseline_prob, CONTROL in self.flags)


@dataclass(frozen=True, slots=True)
class ControlDraw:
    """How a control slice took part in one draw."""

    share: float  # of the draws that it takes
    baseline_prob: float  # the probability that the baseline gives the arm drawn
    is_control: bool  # whether it took this one

    def apart(self, propensity: float) -> "ControlDraw":
        """Return it where the policy's draw of an arm means another thing than the slice's, such as a cascade's start.

        Then nothing that the policy drew tells of the baseline, and the slice's own draw was `share` as probable as the
        baseline's alone: by the ratio to the propensity, (0, 1], of the arm.
        """
        return replace(self, baseline_prob=propensity / self.share if self.is_control else 0.0)

    @property
    def flags(self) -> frozenset[str]:
        """What the log says of it, among the flags of the context."""
        told = f"{BASELINE_FLAG}{self.share!r}:{self.baseline_prob!r}"
        return frozenset({told, CONTROL} if self.is_control else {told})
