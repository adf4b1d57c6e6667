"""What answers have told of which arms call tools: nobody need know it beforehand, and a server may be started anew."""

from collections.abc import Callable
from dataclasses import replace

from highwayman.env.revision import Revision
from highwayman.env.types import Arm

_FIRST_S, _LONGEST_S = 60.0, 3600.0  # for which a refusal is believed; each further one twice as long


class ToolBeliefs:
    """What this process believes. What the pool file denies stays denied: it is never put to the test."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a clock, in seconds."""
        self._clock = clock
        self._called: set[str] = set()
        self._refusals: dict[str, tuple[int, float]] = {}  # running, and until when they are believed
        self.revision = Revision(clock, lambda: (until for _, until in self._refusals.values()))

    def on_called(self, arm: Arm) -> None:
        """Note that an arm has called a tool."""
        if arm.name in self._called and arm.name not in self._refusals:
            return
        self._called.add(arm.name)
        self._refusals.pop(arm.name, None)
        self.revision.advance()

    def on_refused(self, arm: Arm) -> None:
        """Note that an arm's server has said that it takes no tools; believed for a while, then tried again."""
        count, until = self._refusals.get(arm.name, (0, 0.0))
        if self._clock() < until:  # of a call that was under way when the one before was refused
            return
        believed_s = min(_FIRST_S * 2**count, _LONGEST_S)
        self._called.discard(arm.name)
        self._refusals[arm.name] = min(count + 1, 30), self._clock() + believed_s
        self.revision.advance()

    def on_ignored(self, arm: Arm) -> None:
        """Note that an arm has answered and, by its own count, not read the tools.

        That is less than a refusal: it says something of an arm of which nobody has said that it calls tools, and that
        has called none.
        """
        if arm.tools is None and arm.name not in self._called:
            self.on_refused(arm)

    def believed(self, arm: Arm) -> Arm:
        """Return the arm with what is believed of it now."""
        if arm.tools is False:
            return arm
        if self._clock() < self._refusals.get(arm.name, (0, 0.0))[1]:
            return replace(arm, tools=False)
        return replace(arm, tools=True) if arm.tools is None and arm.name in self._called else arm
