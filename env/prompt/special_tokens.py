"""Texts of others, without what ends a turn of a chat."""

import re
from typing import Final

# Servers write a chat out as one text and read special tokens in it, wherever they stand: a user's text that holds
# "<|im_end|>" ends the turn. A space inside makes it a text again.
_SPECIAL: Final = re.compile(
    r"<(?=[|｜])"  # <|im_end|>, <|eot_id|>, DeepSeek's full-width bars
    r"|<(?=/?(?:s|bos|eos|pad|unk|think|start_of_turn|end_of_turn|turn|unused\d+|tool_call|tool_response)>)"
    r"|<(?=/?<?/?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK|gMASK|sop)\])",
    re.IGNORECASE,
)


def strip_special_tokens(text: str) -> str:
    """Return a text in which nothing is read as a special token, and which any server takes as UTF-8."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return _SPECIAL.sub(lambda match: f"{match[0]} ", valid).replace("\0", "")
