"""Whether an answer says no, is empty, or was cut."""

import re
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.confidence.signal import FinishedAnswer

_READ_CHARS: Final = 200  # a refusal says so at once
_REFUSES: Final = re.compile(
    r"\b(?:i(?:'|\u2019)?m (?:really |very |so )?(?:sorry|afraid|unable|not able)|i (?:can(?:no|'|\u2019)t|am unable|"
    r"am not able|do(?:n'|n\u2019| no)t (?:know|have enough|have access)|won(?:'|\u2019)t be able)|"
    r"as an ai\b|unfortunately, i\b|es tut mir leid|ich kann (?:nicht|ihnen nicht|dir nicht|das nicht)|"
    r"je suis d\u00e9sol\u00e9|je ne peux pas|lo siento|no puedo)",
    re.IGNORECASE,
)


class Refusal:
    """`refusal`: the answer says that it will not or cannot; `empty`: it says nothing; `cut`: its limit ended it."""

    names = ("refusal", "empty", "cut")
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return 0 or 1 for each."""
        transcript = finished.transcript()
        text = transcript.text.strip()
        said_so = isinstance(finished.message.get("refusal"), str) and finished.message["refusal"] != ""
        refuses = said_so or _REFUSES.search(text[:_READ_CHARS]) is not None
        return {
            "refusal": float(refuses),
            "empty": float(not (text or transcript.tool_calls or said_so)),
            "cut": float(finished.choice.get("finish_reason") == "length"),
        }
