"""Counts and sums per arm over the whole log, and dollars by day: what tables show and budgets are made of."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from highwayman.bandit.cascade.gates import Gates
from highwayman.env.cost.prefill_fit import PrefillFit
from highwayman.env.cost.spend_ledger import Spend, day_of
from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.errors import SnapshotError
from highwayman.env.types import DEFAULT_TENANT, Decision, Mode, Outcome, RewardChange, Status
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tallies.answer_rate import AnswerRate
from highwayman.feedback.fold.tallies.arm_tally import ArmTally
from highwayman.feedback.fold.tallies.calibration_counts import CalibrationCounts
from highwayman.feedback.fold.tallies.call_amounts import CallAmounts
from highwayman.feedback.fold.tallies.control_tally import JUDGE, ControlTally
from highwayman.feedback.fold.tallies.daily_spend import DailySpend
from highwayman.feedback.fold.tallies.efficiency_tally import EfficiencyTally
from highwayman.feedback.fold.tallies.history import History
from highwayman.feedback.log.event_id import START, EventId

_RECENT = 0.98  # weight of the past in the recent share, per routed decision: about the last 50
_SPENT = "#spent"  # where they stand among the arms, none of which can be called that
OVERLAP = "#overlap"
FITS = "#fits"
PREFILL = "#prefill"
ANSWER_RATES = "#answer_rates"
AMOUNTS = "#amounts"
GATES = "#gates"
CONTROLS = "#control"
EFFICIENCY = "#efficiency"
HISTORY = "#history"
_STREAMED = 0.9  # of an answer's seconds: one whose first token came later came whole
_CHOSEN = frozenset({Mode.ROUTE, Mode.CASCADE})  # modes of decisions that the policy drew


class Tally:
    """Every arm's sums, and every tenant's dollars of the last days, as a fold over the log."""

    def __init__(self) -> None:
        self.arms: dict[str, ArmTally] = {}
        self.calibration_counts = CalibrationCounts()
        self.amounts = CallAmounts()  # what calls take, by prompt and arm
        self.control = ControlTally()
        self.efficiency = EfficiencyTally()
        self.history = History()
        self.revision = 0  # another one whenever something was learned of calls, beside what they take by prompt
        self.rewards_revision = 0  # another one whenever a reward changed
        self._spend = DailySpend()
        self._gates: dict[str, Gates] = {}  # by tenant

    def gates_for(self, tenant: str) -> Gates:
        """Return what is known of answers that were looked at for a tenant: nobody else's feedback moves its cascades.

        To be read: those of a tenant without cascades are at their prior, and kept nowhere.
        """
        return self._gates.get(tenant) or Gates()

    def own_gates(self, tenant: str) -> Gates:
        """Return the same to be taught."""
        return self._gates.setdefault(tenant, Gates())

    def arm(self, name: str) -> ArmTally:
        """Return the sums of `name`, new ones for an arm not seen before."""
        sums = self.arms.get(name)
        if sums is None:  # `setdefault` would make one for every event
            sums = self.arms[name] = ArmTally()
        return sums

    def spent(self, tenant: str = DEFAULT_TENANT) -> Mapping[int, Spend]:
        """Return what a tenant's calls cost by the day of UTC they ended on, the last three days on the log."""
        return self._spend.of(tenant)

    @property
    def spending_tenants(self) -> tuple[str, ...]:
        """The tenants of which `spent` tells anything."""
        return self._spend.tenants

    def spent_by_all(self) -> Mapping[int, Spend]:
        """Return what the calls of all tenants cost by the day of UTC they ended on, as `spent` does for one."""
        return self._spend.of_all()

    def on_decision(self, decision: Decision, *, sign: int = 1) -> None:
        """Count a decision for the arm it chose; with `sign` -1 uncount it (the recent share keeps its trace)."""
        chosen = self.arm(decision.arm)
        chosen.decisions += sign
        if decision.mode not in _CHOSEN:
            return
        chosen.routed += sign
        if sign < 0:
            return
        for tally in self.arms.values():
            tally.recent *= _RECENT
        chosen.recent += 1 - _RECENT

    def on_outcome(self, outcome: Outcome, *, tenant: str = DEFAULT_TENANT, sign: int = 1) -> None:
        """Add an outcome's tokens, dollars and seconds to the arms that answered, its dollars to the tenant's day.

        The tenant is its decision's, the default one as long as the decision is not on the log. With `sign` -1 they are
        taken away; of an arm's chance to answer, which fades, nothing is.
        """
        if outcome.status is Status.LOST:
            return  # nothing is known of it, and the call's own outcome may still come
        self.revision += 1
        self._spend.add(tenant, day_of(outcome.at), sign * (outcome.cost_usd or 0.0), sign)
        if outcome.tried:
            for name in outcome.failed_arms:
                self.arm(name).on_failure(outcome.at, sign)
        if not outcome.stages:  # as most have none
            self._on_call(outcome, sign)
            return
        for call in outcome.calls:
            self._on_call(call, sign)

    def _on_call(self, outcome: Outcome, sign: int) -> None:
        served = self.arm(outcome.arm)
        served.cost_usd += sign * (outcome.cost_usd or 0.0)
        served.tokens_in += sign * outcome.tokens_in
        if outcome.status is not Status.OK:
            # Outcomes of before attempts were kept do not say who failed beside the last.
            if not outcome.tried and outcome.status in (Status.FAILED, Status.TIMEOUT):
                served.on_failure(outcome.at, sign)
            return
        served.calls += sign
        if sign > 0:
            served.answer_rate = served.answer_rate.plus(outcome.at, failed=False)
        served.tokens_out += sign * outcome.tokens_out
        served.overhead_tokens += sign * (outcome.tokens_in - outcome.prompt_tokens)
        served.latency_s += sign * outcome.latency_s
        # The past fades, so nothing of this is taken away again.
        if sign > 0 and outcome.ttft_s is not None and outcome.ttft_s < _STREAMED * outcome.latency_s:
            served.prefill = served.prefill.plus(outcome.tokens_in - outcome.tokens_cached, outcome.ttft_s)

    def on_prompt_read(self, decision: Decision, outcome: Outcome) -> None:
        """Learn of the tokenizer of the arm that served, once decision and outcome are both known.

        The past fades, so nothing is taken away again: what an erased call leaves is a trace in five sums. Of a judge's
        call, whose prompt is its own, and of one whose usage was not reported, there is nothing to learn.
        """
        # Outcomes of before do not say whether a number is estimated; such a one is the decision's own.
        reported = outcome.tokens_in not in (0, outcome.prompt_tokens) and not outcome.estimated
        if outcome.status is not Status.OK or not reported or decision.objective == JUDGE:
            return
        self.revision += 1
        fits, script = self.arm(outcome.arm).fits, decision.context.script
        fits[script] = fits.get(script, TokenFit()).plus(outcome.prompt_tokens, outcome.tokens_in)

    def on_tenant_known(self, outcome: Outcome, tenant: str) -> None:
        """Move an outcome's dollars from the default tenant's day to that of `tenant`: its decision came after it."""
        if outcome.status is Status.LOST or tenant == DEFAULT_TENANT:
            return
        day, usd = day_of(outcome.at), outcome.cost_usd or 0.0
        self._spend.add(DEFAULT_TENANT, day, -usd, -1)
        self._spend.add(tenant, day, usd, 1)

    def on_reward_changes(self, changes: Iterable[RewardChange]) -> None:
        """Add changes of reward; an answer counts as one with feedback as long as its weight is positive."""
        for change in changes:
            self.rewards_revision += 1
            tally = self.arm(change.arm)
            tally.weight += change.weight
            tally.weighted += change.weighted
            tally.squared += change.squared

    def on_reward(
        self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None, *, changed: bool
    ) -> None:
        """Take what was said of an answer out of the sums by tenant, policy and time, and add what is said of it now.

        Only sums over time look at who said it when, too; the others have nothing to do where no reward has changed.
        """
        self.history.on_reward(decision, before, after)
        if changed:
            self.control.on_reward(decision, before, after)
            self.efficiency.on_reward(decision, before, after)

    def totals(self) -> ArmTally:
        """Return the sums over all arms."""
        total = ArmTally()
        for tally in self.arms.values():
            for name, value in tally.sums().items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def share(self, name: str) -> float:
        """Return the share of routed decisions that chose `name`."""
        total = sum(tally.routed for tally in self.arms.values())
        return self.arm(name).routed / total if total else 0.0

    def recent_share(self, name: str) -> float:
        """Return the share among the latest routed decisions (about 50 of them)."""
        total = sum(tally.recent for tally in self.arms.values())
        return self.arm(name).recent / total if total else 0.0

    def to_json(self) -> bytes:
        """Return the sums as JSON: an object of numbers for each arm, of dollars by day, tokenizers and prefill."""
        sums: dict[str, Any] = {name: tally.sums() for name, tally in self.arms.items()}
        spend = self._spend.to_json()
        if spend:
            sums[_SPENT] = spend
        fits = {
            f"{name} {script} {arm}": value
            for arm, tally in self.arms.items()
            for script, fit in tally.fits.items()
            for name, value in fit._asdict().items()
        }
        if fits:
            sums[FITS] = fits
        prefills = {
            f"{name} {arm}": value
            for arm, tally in self.arms.items()
            if tally.prefill.weight
            for name, value in tally.prefill._asdict().items()
        }
        if prefills:
            sums[PREFILL] = prefills
        rates = {name: tally.answer_rate._asdict() for name, tally in self.arms.items() if tally.answer_rate.at}
        if rates:
            sums[ANSWER_RATES] = rates
        sums[AMOUNTS] = self.amounts.to_json()  # without it, a tally is one of before
        if self._gates:
            sums[GATES] = {tenant: gates.to_json() for tenant, gates in self._gates.items()}
        if self.control.tenants:
            sums[CONTROLS] = self.control.to_json()
        if self.efficiency.groups:
            sums[EFFICIENCY] = self.efficiency.to_json()
        sums[HISTORY] = self.history.to_json()
        overlap = self.calibration_counts.to_json()
        if overlap:
            sums[OVERLAP] = overlap
        return json.dumps(sums, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes, *, at: EventId = START) -> "Tally":
        """Return the tally that `to_json` wrote, at a place of the log, or a release of before. Raises SnapshotError.

        Of before dollars were kept by day, too, and before what calls take was learned by prompt.
        """
        tally = cls()
        try:
            sums = json.loads(data)
            tally._spend = DailySpend.from_json(sums.pop(_SPENT, {}))
            tally.calibration_counts = CalibrationCounts.from_json(sums.pop(OVERLAP, []))
            tally.control = ControlTally.from_json(sums.pop(CONTROLS, {}))
            tally.efficiency = EfficiencyTally.from_json(sums.pop(EFFICIENCY, []))
            tally.history = History.from_json(sums.pop(HISTORY, {}), at=at)
            amounts = sums.pop(AMOUNTS, None)
            tally._gates = {tenant: Gates.from_json(gates) for tenant, gates in sums.pop(GATES, {}).items()}
            fits = _fits(sums.pop(FITS, {}))
            prefills = _prefills(sums.pop(PREFILL, {}))
            rates = {name: AnswerRate(**counts) for name, counts in sums.pop(ANSWER_RATES, {}).items()}
            tally.arms = {
                name: ArmTally(
                    **values,
                    fits=fits.get(name, {}),
                    prefill=prefills.get(name, PrefillFit()),
                    answer_rate=rates.get(name, AnswerRate()),
                )
                for name, values in sums.items()
            }
            if amounts is None:
                before = {name: (arm.calls, arm.tokens_out, arm.latency_s) for name, arm in tally.arms.items()}
                amounts = {"since": at, "others": {name: calls for name, calls in before.items() if calls[0] > 0}}
            tally.amounts = CallAmounts.from_json(amounts)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise SnapshotError(f"tally is damaged: {type(error).__name__}") from error
        return tally


def _fits(numbers: Mapping[str, float]) -> dict[str, dict[str, TokenFit]]:
    """Return what was written, by arm and script. Raises LookupError, TypeError or ValueError if it is damaged."""
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for key, value in numbers.items():
        name, script, arm = key.split(" ", 2)
        sums.setdefault((arm, script), {})[name] = float(value)
    fits: dict[str, dict[str, TokenFit]] = {}
    for (arm, script), values in sums.items():
        fits.setdefault(arm, {})[script] = TokenFit(**values)
    return fits


def _prefills(numbers: Mapping[str, float]) -> dict[str, PrefillFit]:
    """Return what was written, by arm. Raises TypeError or ValueError if it is damaged."""
    sums: dict[str, dict[str, float]] = {}
    for key, value in numbers.items():
        name, arm = key.split(" ", 1)
        sums.setdefault(arm, {})[name] = float(value)
    return {arm: PrefillFit(**values) for arm, values in sums.items()}
