"""Where a request goes: what was decided, the arms to try in order, and what stands with it until the call is made."""

from collections.abc import Callable
from dataclasses import field
from typing import NamedTuple

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Arm, Decision
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.completions.routing.cascades import CascadeRoute


@quick_dataclass(frozen=True, slots=True)
class Route:
    """A decision and the arms to try: the intended one, then the others by their probability."""

    decision: Decision
    arms: tuple[Arm, ...]
    affinity: str = ""  # what names the conversation, whose replicas are asked before others
    needed_tokens: Callable[[Arm], int] | None = field(default=None, compare=False)  # of prompt and answer at an arm
    tools_dropped: bool = False  # whether the request goes on without the tools it offers
    cascade: CascadeRoute | None = field(default=None, compare=False)  # None: the answer is passed on as it comes
    cached: CachedAnswer | None = None  # that is given, without asking an arm
    # Whether an arm may be asked after others have not answered; None: nothing stands in the way.
    may_ask: Callable[[Arm], bool] | None = field(default=None, compare=False)


class Funds(NamedTuple):
    """What a hard ceiling pays for a call."""

    most_usd: float  # that it can cost, whichever arm is asked in the end
    may_ask: Callable[[Arm], bool]  # after others have not answered


class Decided(NamedTuple):
    """What a route is made of, as long as it is not settled that its call can be paid."""

    decision: Decision
    arms: tuple[Arm, ...]
    cascade: CascadeRoute | None = None
    funds: Funds | None = None  # None: no hard ceiling has a say
