"""Whether an answer speaks to its judge instead of to whoever asked."""

import re

# Read loosely on purpose: what is caught by mistake is one answer not judged, what slips through may be believed.
_TO_A_JUDGE = re.compile(
    r"\b(?:rate|score|grade|mark|judge)\s+(?:this|it|me|my|the\s+(?:answer|response|above))\b"
    r"|\bgive\s+(?:this|it|me|my\s+answer|the\s+(?:answer|response))\s+(?:an?\s+)?(?:\d|full|perfect|top|high|maximum)"
    r"|[\"']?\b(?:score|rating|grade)[\"']?\s*[:=]\s*[\"']?\d"
    r"|\b(?:as|to|dear|attention|note\s+to)\s+(?:an?\s+|the\s+|any\s+)?(?:judge|grader|evaluator|rater)\b"
    r"|\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:above|previous|prior|earlier|instructions?|rubric)\b"
    r"|</?(?:conversation|answer|reference|system|data)(?:\s[^>\n]{0,80})?>",
    re.IGNORECASE,
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")  # put between letters to hide a word


def is_suspect(answer: str) -> bool:
    """Return whether an answer asks for a score, feigns one, or feigns what encloses it."""
    return _TO_A_JUDGE.search(_UNSEEN.sub("", answer)) is not None
