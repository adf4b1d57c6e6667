"""Which arm a request was meant for, and with which probabilities; K eligible arms."""

from enum import StrEnum

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types.aliases import Floats
from highwayman.env.types.contexts import Context

DEFAULT_TENANT = "default"  # whose everything is where keys name no other
TOLD = "told"  # the policy of a decision that another router took, and told


class Mode(StrEnum):
    """How a decision came about. Only `route` decisions enter off-policy estimates."""

    ROUTE = "route"  # the policy drew the arm
    CASCADE = "cascade"  # likewise, and another arm may be asked once its answer has been seen
    SHADOW = "shadow"  # a second answer that nobody sees
    FORCED = "forced"  # the caller named the arm
    STICKY = "sticky"  # the arm that called a tool reads its result


# Who names an arm has a reason, such as a hard task, that no feature tells: the arm is not to be judged by it.
NAMED_MODES = frozenset({Mode.FORCED, Mode.SHADOW})


@quick_dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was decided for one request, and with which probabilities."""

    id: str  # as in `x-highwayman-decision`
    tenant: str  # whose key asked
    at: float  # seconds since the epoch
    context: Context  # what the policy saw
    arms: tuple[str, ...]  # the K eligible arms
    penalties: Floats  # (K,) in quality units
    probs: Floats  # (K,) after the exploration floor: what was drawn from
    action: int  # index into arms
    propensity: float  # the probability that the arm was drawn with: probs[action]
    policy: str  # its class name, or import path
    policy_version: int  # of what it had learned
    objective: str  # such as auto, auto-cheap, auto-quality
    mode: Mode = Mode.ROUTE  # how it came about
    user: str = ""  # pseudonym of the person who asked, under the namespace's secret; empty: not known
    prompt: str | None = None  # the newest message, only where the configuration asks for it
    links: tuple[str, ...] = ()  # digests of ids that the client sent along: under them feedback may speak of it, too

    @property
    def arm(self) -> str:
        """The name of the intended arm."""
        return self.arms[self.action]
