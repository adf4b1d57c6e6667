"""Asking what was decided and learned, deciding without a call, and what operators do."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from highwayman.client.call import Call, method
from highwayman.client.results import (
    DecisionPage,
    DecisionReport,
    OutcomeReceipt,
    PolicyReport,
    RouteTold,
    Savings,
    Standings,
)
from highwayman.client.statement import HasId, decision_id_of


class Wanted(TypedDict, total=False):
    """Which decisions are listed (docs/how-to/decisions.md)."""

    limit: int  # of a page, up to 100
    arm: str
    mode: str
    status: str
    since: float | str  # seconds since the epoch, or ISO 8601
    until: float | str
    tag: str
    feedback: bool
    tenant: str


class OutcomeDetails(TypedDict, total=False):
    """What may be told of a call beside its status (docs/how-to/delegated.md)."""

    arm: str
    failed_arms: Sequence[str]
    usage: Mapping[str, Any]
    cost_usd: float
    latency_s: float
    ttft_s: float
    finish_reason: str
    answer: str
    messages: Sequence[Mapping[str, Any]]


class RouterMethods:
    """What clients can ask a router. `decision`, `route` and `outcome` need the scope `answers`, the rest `admin`."""

    @method
    def decision(self, answer: str | HasId) -> Call[DecisionReport]:
        """Return all that is known of a decision: why, what came of it, what was said."""
        return decision_report(answer)

    @method
    def decisions(self, *, after: str | None = None, **wanted: Unpack[Wanted]) -> Call[DecisionPage]:
        """Return a page of decisions, newest first; `each_decision` goes through all pages."""
        return Call("GET", "/decisions", DecisionPage.model_validate, query={"after": after, **wanted})

    @method
    def route(self, /, messages: Sequence[Mapping[str, Any]], model: str = "auto", **body: Any) -> Call[RouteTold]:
        """Decide without a call. Each is a decision of its own, so it is not sent again once it may have arrived."""
        asked = {"model": model, "messages": list(messages), **body}
        return Call("POST", "/route", RouteTold.model_validate, asked, repeatable=False)

    @method
    def outcome(
        self,
        route: str | HasId,
        status: Literal["ok", "failed", "timeout", "refused"] = "ok",
        **told: Unpack[OutcomeDetails],
    ) -> Call[OutcomeReceipt]:
        """Say what came of a route; told again, the first one stands. `ok` needs latency_s, and usage or answer."""
        body = {"decision_id": decision_id_of(route), "status": status, **told}
        return Call("POST", "/outcomes", OutcomeReceipt.model_validate, body)

    @method
    def policy(self) -> Call[PolicyReport]:
        """Return the policy in force, and each arm's numbers."""
        return Call("GET", "/policy", PolicyReport.model_validate)

    @method
    def savings(self, tenant: str | None = None) -> Call[Savings]:
        """Return what was saved beside the baseline."""
        return Call("GET", "/savings", Savings.model_validate, query={"tenant": tenant})

    @method
    def tournament(self) -> Call[Standings]:
        """Return how challengers compare with who decides."""
        return Call("GET", "/tournament", Standings.model_validate)

    @method
    def promote(self, challenger: str, *, at_once: bool = False) -> Call[Standings]:
        """Let a challenger in, by the ramp's first share, or at once for everything."""
        path = f"/tournament/promote/{quote(challenger, safe='')}"
        return Call("POST", path, Standings.model_validate, query={"at_once": at_once}, repeatable=False)

    @method
    def rollback(self) -> Call[Standings]:
        """Take a challenger's share back, or the last promotion; asked twice, it goes back twice."""
        return Call("POST", "/tournament/rollback", Standings.model_validate, repeatable=False)


def decision_report(answer: str | HasId) -> Call[DecisionReport]:
    """Return the call that asks for all that is known of a decision."""
    return Call("GET", f"/decisions/{decision_id_of(answer)}", DecisionReport.model_validate)
