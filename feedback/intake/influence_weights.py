"""What a statement is worth when it is accepted: settled once, and written beside its value on the log."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from highwayman.env.metric import Metric
from highwayman.env.types import Feedback
from highwayman.feedback.trust.influence_caps import InfluenceLimiter
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.shared_influence import SharedInfluence

_REMEMBERED = 20_000  # statements, of which a newer one takes the weight over

InfluenceKey = tuple[str, ...]


class InfluenceWeights:
    """Weighs statements by who sends them."""

    def __init__(self, influence: InfluenceLimiter, shared: SharedInfluence | None = None) -> None:
        """Take the limiter that keeps account of everybody's influence, and what does so for all processes, if any."""
        self._influence = influence
        self._shared = shared
        self._weighed: OrderedDict[InfluenceKey, float] = OrderedDict()

    def apply(self, feedback: Feedback, metric: Metric, principal: Principal, about: Sequence[str]) -> Feedback:
        """Return a statement about these decisions, or names of some, with its weight."""
        if feedback.value is None or not metric.affects_reward:
            return feedback
        influence_key = (*about, feedback.source, feedback.metric, feedback.user)
        weight = self._weighed.pop(influence_key, None)
        if weight is None:
            weight = self._influence.allowed_weight(
                principal.tenant, key=feedback.key, person=feedback.user, at=feedback.at, key_share=principal.influence
            )
        return self._with(feedback, influence_key, weight)

    async def weigh(self, feedback: Feedback, metric: Metric, principal: Principal, about: Sequence[str]) -> Feedback:
        """Return a statement with its weight, as `apply` does, by what all processes have weighed."""
        if self._shared is None or feedback.value is None or not metric.affects_reward:
            return self.apply(feedback, metric, principal, about)
        influence_key = (*about, feedback.source, feedback.metric, feedback.user)
        weight = self._weighed.pop(influence_key, None)
        if weight is None:
            weight = await self._shared.allowed_weight(
                principal.tenant, key=feedback.key, person=feedback.user, at=feedback.at, key_share=principal.influence
            )
        return self._with(feedback, influence_key, weight)

    def _with(self, feedback: Feedback, influence_key: InfluenceKey, weight: float) -> Feedback:
        """Return a statement with its weight, which another one that replaces it will have, too."""
        self._weighed[influence_key] = weight
        if len(self._weighed) > _REMEMBERED:
            self._weighed.popitem(last=False)
        return feedback if weight == feedback.weight else replace(feedback, weight=weight * feedback.weight)
