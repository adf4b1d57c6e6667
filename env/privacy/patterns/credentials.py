"""Keys and tokens of well-known shapes, private keys, passwords in addresses."""

import re
from collections.abc import Iterator
from typing import Final

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection

# What a token begins with, and what follows: by a sign that texts of no token seldom have (empty: none such).
_SHAPES: Final = {
    "_": (
        ("ghp_", r"[A-Za-z0-9]{36,255}"),  # GitHub
        ("gho_", r"[A-Za-z0-9]{36,255}"),
        ("ghu_", r"[A-Za-z0-9]{36,255}"),
        ("ghs_", r"[A-Za-z0-9]{36,255}"),
        ("ghr_", r"[A-Za-z0-9]{36,255}"),
        ("github_pat_", r"[A-Za-z0-9_]{22,255}"),
        ("sk_live_", r"[A-Za-z0-9]{16,255}"),  # Stripe
        ("sk_test_", r"[A-Za-z0-9]{16,255}"),
        ("rk_live_", r"[A-Za-z0-9]{16,255}"),
        ("hf_", r"[A-Za-z0-9]{30,255}"),  # Hugging Face
        ("npm_", r"[A-Za-z0-9]{36}"),
        ("dop_v1_", r"[a-f0-9]{64}"),  # DigitalOcean
    ),
    "-": (
        ("sk-", r"[A-Za-z0-9_\-]{20,256}"),  # OpenAI, Anthropic, OpenRouter, LiteLLM and others
        ("glpat-", r"[A-Za-z0-9_\-]{20,255}"),  # GitLab
        ("xox", r"[abeoprs]-[A-Za-z0-9\-]{10,255}"),  # Slack
        ("xapp-", r"[A-Za-z0-9\-]{10,255}"),
        ("GOCSPX-", r"[A-Za-z0-9_\-]{20,255}"),  # Google
        ("pypi-", r"[A-Za-z0-9_\-]{50,512}"),
        ("hwk-", r"[A-Za-z0-9_\-]{40,64}"),  # our own
    ),
    "": (
        ("AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),  # Amazon
        ("ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AIza", r"[A-Za-z0-9_\-]{35}"),  # Google
        ("ya29.", r"[A-Za-z0-9_\-]{20,512}"),
        ("SG.", r"[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64}"),  # SendGrid
        ("AccountKey=", r"[A-Za-z0-9+/]{40,128}={0,2}"),  # Azure
        ("eyJ", r"[A-Za-z0-9_\-]{8,4096}+\.eyJ[A-Za-z0-9_\-]{8,4096}+\.[A-Za-z0-9_\-]{8,4096}"),  # JSON Web Tokens
    ),
}


def _pattern(prefix: str, rest: str) -> re.Pattern[str]:
    """Return what finds a token where no letter or digit stands before it: told behind its beginning, which is fast."""
    begun = re.escape(prefix)
    return re.compile(f"{begun}(?<![A-Za-z0-9]{begun}){rest}")


_TOKENS: Final = {
    sign: tuple((prefix, _pattern(prefix, rest)) for prefix, rest in shapes) for sign, shapes in _SHAPES.items()
}
_PASSWORD: Final = re.compile(r"://[^\s:/?#@\"']{1,128}:([^\s/?#@\"']{1,256})@")
# The signs of a PEM's body, as it stands, and as JSON writes it.
_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[A-Za-z0-9+/=\s\\:,.()]|-(?!----)){0,16384}+-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----)?"
)


def credentials(text: str) -> list[Detection]:
    """Return tokens, by what they begin with: who looks for that first need not look at most texts any further."""
    detections = []
    for sign, shapes in _TOKENS.items():
        if sign in text:
            for prefix, pattern in shapes:
                if prefix in text:
                    spans = (match.span() for match in pattern.finditer(text))
                    detections += [Detection("api_key", DataClass.SECRET, *span) for span in spans]
    return detections


def passwords(text: str) -> Iterator[Detection]:
    """Yield the passwords in addresses such as postgres://me:word@host."""
    for match in _PASSWORD.finditer(text):
        yield Detection("password", DataClass.SECRET, match.start(1), match.end(1))


def private_keys(text: str) -> Iterator[Detection]:
    """Yield private keys in PEM, whole or cut off behind their first line."""
    for match in _KEY_BLOCK.finditer(text):
        yield Detection("private_key", DataClass.SECRET, match.start(), match.end())
