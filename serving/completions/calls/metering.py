"""What an answer took: as its server counted, or from the text where it did not."""

from collections.abc import Sequence
from dataclasses import field

from highwayman.env.cost.usage import cost_usd
from highwayman.env.encoder.features.features import estimate_tokens
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Arm, Attempt, Query, Usage
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.endings import TOO_LATE, Ending
from highwayman.env.upstream.answers.usage_report import ReportedUsage

NO_REPORT = ReportedUsage()


@quick_dataclass(frozen=True, slots=True)
class MeteredUsage:
    """The tokens of an answer, and whether any of them are estimated."""

    usage: Usage
    estimated: bool
    text: AnswerText | None = field(default=None, compare=False, repr=False)  # what was written


UNUSED = MeteredUsage(Usage(0, 0), estimated=False)


def meter(
    report: ReportedUsage | None, text: AnswerText, *, prompt_tokens: int, samples: int = 1, uncounted: int = 0
) -> MeteredUsage:
    """Return what an answer took; a server that says that nothing was read, or no words written, has not counted.

    Args:
        report: of the server, if there is one.
        text: what was written, as far as the client got it.
        prompt_tokens: of the caller's prompt, estimated.
        samples: answers that were drawn, of which `text` is one.
        uncounted: of these, those that `report`, a sum, lacks.
    """
    told = report or NO_REPORT
    tokens_in = told.tokens_in or None
    tokens_out = told.tokens_out if told.tokens_out or (report is not None and not text.chars) else None
    missing_in = samples if tokens_in is None else uncounted
    missing_out = samples if tokens_out is None else uncounted
    written = text_tokens(text) * missing_out if missing_out else 0
    usage = Usage(
        (tokens_in or 0) + prompt_tokens * missing_in,
        (tokens_out or 0) + written,
        told.tokens_cached if tokens_in is not None else 0,
    )
    return MeteredUsage(usage, estimated=bool(missing_in or missing_out), text=text)


def given_up_usd(attempts: Sequence[Attempt], arms: Sequence[Arm], *, prompt_tokens: int) -> float:
    """Return the dollars of attempts that were given up before they said anything; 0 where none was, or has a price.

    Providers bill what they have read though nobody waits for the answer, so each counts as its prompt, estimated. What
    they may have written until then nobody knows.
    """
    priced = {arm.name: arm for arm in arms}
    read = [
        cost_usd(arm, Usage(prompt_tokens * arm.profile.best_of, 0))
        for attempt in attempts
        if (attempt.ending == Ending.CLIENT_LEFT or attempt.why == TOO_LATE)
        and (arm := priced.get(attempt.arm)) is not None
    ]
    return sum(usd for usd in read if usd is not None)


def text_tokens(text: AnswerText) -> int:
    """Return about how many tokens were written: none for no words, and at least one for each piece of a stream."""
    if not text.chars:
        return 0
    return max(estimate_tokens(Query(text=text.sample, prompt_chars=text.chars, turns=0)), text.pieces)
