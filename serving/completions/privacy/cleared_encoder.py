"""Encodes a query as far as the encoder may read it, and writes down what the query's class keeps from whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from highwayman.env.data_class import ENCODER_MASKED, Clearance, masked_flags
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import Arm, Context, Query


@dataclass(slots=True)
class ClearedEncoder:
    """In the encoder's place, where there are rules."""

    encoder: Encoder
    pool: Pool  # whose arms may change
    zone: str | None  # of the engine; None: this process
    images_zone: str | None
    on_masked: Callable[[Clearance], None]  # called with the clearance of every request that is kept from an arm
    _arms: Mapping[str, Arm] = field(default_factory=dict, init=False)  # that the pool had at the last request
    _masked: dict[frozenset[str] | None, frozenset[str]] = field(default_factory=dict, init=False)  # of them, by zones

    async def encode(self, query: Query) -> Context:
        """Return the context of a query, with flags that say of which class it is, and which arms may not have it."""
        clearance = query.clearance
        if clearance is None:
            return await self.encoder.encode(query)
        masked = self._masked_by(clearance)
        if masked:
            self.on_masked(clearance)
        if self.images_zone is not None and not clearance.admits(self.images_zone):
            query = replace(query, pictures=())
        if self.zone is None or clearance.admits(self.zone):
            context = await self.encoder.encode(query)
        else:
            context = self.encoder.without_text(query, ENCODER_MASKED)
        return replace(context, flags=context.flags | clearance.flags | masked)

    def _masked_by(self, clearance: Clearance) -> frozenset[str]:
        """Return the flags that name the arms which may not have what is so cleared."""
        if self._arms is not self.pool.arms:
            self._arms, self._masked = self.pool.arms, {}
        if clearance.zones not in self._masked:
            barred = (arm.name for arm in self._arms.values() if not clearance.admits(arm.zone))
            self._masked[clearance.zones] = masked_flags(barred)
        return self._masked[clearance.zones]
