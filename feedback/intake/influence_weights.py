"""What a statement is worth when it is accepted: settled once, and written beside its value on the log."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from highwayman.env.metric import Metric
from highwayman.env.types import Feedback
from highwayman.feedback.trust.influence_caps import Influence
from highwayman.feedback.trust.principal import Caller

_REMEMBERED = 20_000  # statements, of which a newer one takes the weight over

Whose = tuple[str, ...]


class Weigher:
    """Weighs statements by who says them."""

    def __init__(self, influence: Influence) -> None:
        """Take who keeps account of everybody's influence."""
        self._influence = influence
        self._weighed: OrderedDict[Whose, float] = OrderedDict()

    def weighed(self, said: Feedback, metric: Metric, caller: Caller, about: Sequence[str]) -> Feedback:
        """Return a statement about these decisions, or names of some, with its weight."""
        if said.value is None or not metric.counts:
            return said
        whose = (*about, said.source, said.metric, said.user)
        weight = self._weighed.pop(whose, None)
        if weight is None:
            weight = self._influence.weigh(
                caller.tenant, key=said.key, person=said.user, at=said.at, key_share=caller.influence
            )
        self._weighed[whose] = weight
        if len(self._weighed) > _REMEMBERED:
            self._weighed.popitem(last=False)
        return said if weight == said.weight else replace(said, weight=weight * said.weight)
