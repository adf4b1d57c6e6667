"""What an answer tells of whether its arm calls tools."""

from highwayman.env.pool.tool_beliefs import ToolBeliefs
from highwayman.env.types import Arm, Outcome, Query, Status
from highwayman.env.upstream.answers.answer_text import AnswerText

_CALLED = "tool_calls"  # a finish reason
_LEAST_READ = 0.5  # of the tools' tokens as estimated: an arm that has read fewer tokens in all has not read the tools


def learn_of_tools(
    beliefs: ToolBeliefs, arm: Arm, query: Query, outcome: Outcome, *, text: AnswerText | None = None
) -> None:
    """Note that an arm called a tool, or that it has by its own count read less than the tools alone would be.

    Where none were offered, or passed on, an answer tells nothing. Some servers end a call with `stop`: what the answer
    says, `text`, tells. Some count only what no cache held, which may be less than the messages alone: that tells
    nothing either.
    """
    if not query.tools or outcome.tools_dropped or outcome.status is not Status.OK:
        return
    if outcome.finish_reason == _CALLED or (text is not None and text.calls_tools):
        beliefs.on_called(arm)
        return
    least = max(_LEAST_READ * (outcome.prompt_tokens - query.tools_tokens), 1)
    if not outcome.estimated and least <= outcome.tokens_in < _LEAST_READ * query.tools_tokens:
        beliefs.on_ignored(arm)
