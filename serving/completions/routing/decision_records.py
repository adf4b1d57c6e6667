"""What was drawn becomes a decision, as the log has it: who asked, when, by which policy, what may be kept of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from highwayman.bandit.decision import Dial
from highwayman.bandit.draw import Draw
from highwayman.env.data_class import NOT_STORED
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import DEFAULT_TENANT, Context, Decision, Floats, Mode


@quick_dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Whose request it is, and under which other ids it is known."""

    tenant: str = DEFAULT_TENANT
    user: str | None = None  # the person, as the caller names them
    links: tuple[str, ...] = ()  # digests of the ids that the client sent along


ANONYMOUS_ORIGIN = RequestOrigin()


@quick_dataclass(frozen=True, slots=True)
class Moment:
    """What a decision is taken with beside the candidates, and says beside what was drawn."""

    at: float  # seconds since the epoch
    objective: str
    mode: Mode
    prompt: str
    origin: RequestOrigin
    policy: str
    policy_version: int
    dials: Mapping[str, Dial] = field(default_factory=dict)  # by contender, of those that have one of their own


@dataclass(slots=True)
class DecisionRecords:
    """Makes decisions for the log. Of the person who asks it gets a pseudonym."""

    new_id: Callable[[str], str]  # for a tenant
    pseudonym: Callable[[str | None], str]  # of the person who asks
    keep_prompts: bool = False  # whether decisions carry the newest message

    def decision(
        self, arms: tuple[str, ...], context: Context, penalties: Floats, draw: Draw, *, moment: Moment
    ) -> Decision:
        """Return the decision that drew one of K arms, with their penalties (K,)."""
        origin = moment.origin
        return Decision(
            id=self.new_id(origin.tenant),
            tenant=origin.tenant,
            at=moment.at,
            context=context,
            arms=arms,
            penalties=penalties,
            probs=draw.probs,
            action=draw.action,
            propensity=draw.propensity,
            policy=moment.policy,
            policy_version=moment.policy_version,
            objective=moment.objective,
            mode=moment.mode,
            user=self.pseudonym(origin.user) if origin.user else "",
            prompt=moment.prompt if self.keep_prompts and NOT_STORED not in context.flags else None,
            links=origin.links,
        )
