"""What is asked of an arm so that its answer can be looked at, and the looking itself, with what that costs."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from highwayman.env.confidence.signal import AskingSignal, FinishedAnswer, Signal, read_signals
from highwayman.env.cost.usage import cost_usd
from highwayman.env.data_class import Clearance
from highwayman.env.errors import UpstreamError
from highwayman.env.pool.profile import upstream_body
from highwayman.env.privacy.texts import texts_of
from highwayman.env.types import Arm, JsonObject, Profile
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.answers.usage_report import parse_reported_usage
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.client import Upstream
from highwayman.serving.completions.calls.metering import meter
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.requests.request import CHAT_PATH

log = logging.getLogger(__name__)

_FEW_CHARS = 2_000  # of an answer that is read on the event loop: a thread takes longer


@dataclass(slots=True)
class SignalReader:
    """Reads what the configured signals tell of answers."""

    signals: Sequence[Signal]
    upstream: Upstream
    arms: Mapping[str, Arm]
    look_s: float  # that further calls may take
    guard: DataGuard | None = None  # knows who may be shown an answer; None: anybody
    asking: tuple[AskingSignal, ...] = field(init=False)  # those of the signals that take further calls
    _asks_for: JsonObject = field(init=False)
    _refusing: set[str] = field(default_factory=set, init=False)  # arms that answer only what nothing is added to

    def __post_init__(self) -> None:
        """Take from the signals what each request needs to know of them."""
        self.asking = tuple(signal for signal in self.signals if isinstance(signal, AskingSignal))
        self._asks_for = {name: value for signal in self.signals for name, value in signal.asks_for.items()}

    def widened(self, body: JsonObject, arm: Arm) -> JsonObject:
        """Return the body with what signals ask for, as it is where the caller asks for such a thing already."""
        if arm.name in self._refusing or any(body.get(name) for name in self._asks_for):
            return body
        return {**body, **self._asks_for}

    def on_refused(self, arm: Arm) -> None:
        """Note that an arm answers a request that it refused with what signals ask for: it is asked no more."""
        self._refusing.add(arm.name)

    async def look(
        self,
        finished: FinishedAnswer,
        arm: Arm,
        *,
        prompt_tokens: int,
        on_cost: Callable[[float | None], None],
        may_ask: Callable[[str, int], bool] = lambda arm, calls: True,
        clearance: Clearance | None = None,
    ) -> dict[str, float]:
        """Return all that an answer of `arm` tells, with further calls; `on_cost` is told the dollars of each.

        `may_ask` says whether an arm may be called so often; of a signal that may not ask nothing is told. Nor is it of
        one whose arm may not have the request, which `clearance` says, or the answer.
        """
        ask = partial(self._replies, finished, arm, prompt_tokens=prompt_tokens, on_cost=on_cost)
        free = await self.look_on(finished)
        asking = [signal for signal in self.asking if may_ask(signal.asks or arm.name, signal.calls)]
        if self.guard is not None and any(signal.asks for signal in asking):
            cleared = await self.guard.raised(clearance, texts_of(finished.answer).text)
            asking = [signal for signal in asking if not signal.asks or cleared.admits(self.arms[signal.asks].zone)]
        replies = await asyncio.gather(*map(ask, asking))
        for signal, answers in zip(asking, replies, strict=True):
            free |= _read([signal], replace(finished, replies=answers))
        return free

    async def look_on(self, finished: FinishedAnswer) -> dict[str, float]:
        """Return what an answer tells by itself."""
        if _is_read_at_once(finished):
            return _read(self.signals, finished)
        return await asyncio.to_thread(_read, self.signals, finished)

    async def _replies(
        self,
        finished: FinishedAnswer,
        arm: Arm,
        signal: AskingSignal,
        *,
        prompt_tokens: int,
        on_cost: Callable[[float | None], None],
    ) -> tuple[JsonObject, ...]:
        """Return what came of a signal's calls; of one that fails nothing does, and the answer is none the worse."""
        asked = self.arms[signal.asks] if signal.asks else arm
        profile = replace(asked.profile, best_of=1) if signal.uses_profile else Profile()
        asked = replace(asked, profile=profile)
        calls = [self._reply(asked, body, prompt_tokens, on_cost) for body in _questions(signal, finished)]
        return tuple(reply for reply in await asyncio.gather(*calls) if reply is not None)

    async def _reply(
        self, arm: Arm, body: JsonObject, prompt_tokens: int, on_cost: Callable[[float | None], None]
    ) -> JsonObject | None:
        try:
            async with asyncio.timeout(self.look_s):
                answer = await self.upstream.open([arm], CHAT_PATH, lambda arm: upstream_body(body, arm, chat=True))
        except (UpstreamError, TimeoutError):
            return None
        if answer.account.ending is not Ending.ANSWERED or not isinstance(answer.answer, dict):
            answer.close()
            return None
        on_cost(_cost_usd(arm, answer, prompt_tokens))
        return answer.answer


def _is_read_at_once(finished: FinishedAnswer) -> bool:
    """Return whether reading an answer takes no while: code may, and what is held against a schema of the caller's."""
    transcript, wanted = finished.transcript(), finished.request.get("response_format")
    has_schema = isinstance(wanted, dict) and wanted.get("type") == "json_schema"
    return len(transcript.text) <= _FEW_CHARS and not transcript.tool_calls and not has_schema


def _read(signals: Iterable[Signal], finished: FinishedAnswer) -> dict[str, float]:
    """Return what signals tell; one of the user's own that fails tells nothing, and no payload goes to the log."""
    told: dict[str, float] = {}
    for signal in signals:
        try:
            told |= read_signals([signal], finished)
        except Exception as error:
            log.error("signal %s failed: %s", type(signal).__name__, type(error).__name__)
    return told


def _questions(signal: AskingSignal, finished: FinishedAnswer) -> Sequence[JsonObject]:
    try:
        return signal.questions(finished)
    except Exception as error:
        log.error("signal %s failed: %s", type(signal).__name__, type(error).__name__)
        return ()


def _cost_usd(arm: Arm, answer: UpstreamResponse, prompt_tokens: int) -> float | None:
    text = AnswerText()
    text.add(answer.answer)
    return cost_usd(arm, meter(parse_reported_usage(answer.answer), text, prompt_tokens=prompt_tokens).usage)
