"""Kinds of query named by words: their own where prompts are kept, else those whose features lie nearest to theirs."""

import re
from collections import Counter
from collections.abc import Sequence, Set
from typing import Final

import numpy as np

from highwayman.env.encoder.encoder import Encoder
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.types import Floats

_COMMON: Final = 8_000  # words of the vocabulary, by how common they are, that may name a kind
_FEWER: Final = 2_000  # of an engine that takes long
_AT_ONCE: Final = 256
_NAMED_BY: Final = 3  # words
_SHORTEST: Final = 4  # letters
_STEM: Final = 5  # letters that two words of a name may not both begin with
_PROMPTS_SHARE: Final = 0.5  # of a kind's queries whose prompts are kept, for it to be named by them
_PRIOR: Final = 2.0  # prompts that a word is taken to be in beside the real ones
# Of words that say how a thing is said more than what it is about.
_EMPTY: Final = frozenset(
    """about actually after again all almost already also although always and another any anything anyway apparently
    are away basically because been before being both but can cannot certainly could definitely did didn does
    doesn done down each either else enough especially even ever every exactly finally find for from furthermore
    get getting given goes going got had has hasn have haven having hence her here him himself his how however
    indeed into its itself just let like made make many may maybe more moreover most much must myself near
    neither never nevertheless none nonetheless nor not nothing now obviously off often once one only other
    others otherwise ought our out over own perhaps probably quite rather really said same seem seemed seems
    several shall she should simply since some somehow something sometimes somewhat soon still such than that
    the their them then there therefore these they this those though through thus together too toward truly two
    under unfortunately until upon use usually very want was wasn way well were what whatever when where whether
    which while who whom whose why will with within without would yeah yes yet you your yours yourself""".split()  # noqa: SIM905  (a list would take three pages)
)
_WORD: Final = re.compile(r"[^\W\d_]{3,}")


class WordTable:
    """Common English words as points among an encoder's text features: made once, in a thread, by its own engine."""

    def __init__(self, encoder: Encoder) -> None:
        """Embed the words; that takes half a second with the shipped engine, and longer with others."""
        pieces = (ASSETS / "static_vocab.txt").read_text(encoding="utf-8").split("\n")
        words = [piece for piece in pieces if piece.isascii() and piece.isalpha() and len(piece) >= _SHORTEST]
        count = _COMMON if getattr(encoder.engine, "inline", False) else _FEWER
        known = frozenset(words)
        self.words = [word for word in words[:count] if word not in _EMPTY and not _is_adverb(word, known)]
        parts = [self.words[start : start + _AT_ONCE] for start in range(0, len(self.words), _AT_ONCE)]
        rows = np.concatenate([encoder.projection.apply(encoder.engine.embed(part)) for part in parts])
        rows = rows - rows.mean(axis=0)
        # Between the cosine, which likes words that say one thing only, and the product, which likes strong ones.
        self._rows = rows / np.sqrt(np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))

    def nearest(self, centres: Floats, mean: Floats) -> list[tuple[str, ...]]:
        """Return the words that lie nearest to each of k centres (k, p), away from the mean (p,) of all queries.

        A word goes to the centre that it is nearest to, so that no two kinds have one in common.
        """
        away = centres - mean
        lengths = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
        scores = self._rows @ (away / lengths).T  # (words, k)
        owner = scores.argmax(axis=1)
        names = []
        for place in range(len(centres)):
            own = np.flatnonzero(owner == place)
            ranked = own[np.argsort(-scores[own, place], kind="stable")][:40]
            names.append(_different([self.words[word] for word in ranked]))
        return names


def own_words(prompts: Sequence[Sequence[str | None]]) -> list[tuple[str, ...]]:
    """Return the words of each kind's kept prompts that are usual there and not elsewhere; none where few are kept."""
    counts = [Counter(word for prompt in kind if prompt for word in _words(prompt)) for kind in prompts]
    kept = [sum(prompt is not None for prompt in kind) for kind in prompts]
    everywhere, total = sum(counts, Counter()), max(sum(kept), 1)
    names: list[tuple[str, ...]] = []
    for kind, count, known in zip(prompts, counts, kept, strict=True):
        if not kind or known < _PROMPTS_SHARE * len(kind):
            names.append(())
            continue
        usual = {word: (own + _PRIOR * everywhere[word] / total) / (known + _PRIOR) for word, own in count.items()}
        scores = {word: share * np.log(share * total / everywhere[word]) for word, share in usual.items()}
        names.append(_different(sorted(scores, key=lambda word: (-scores[word], word))[:40]))
    return names


def _is_adverb(word: str, known: Set[str]) -> bool:
    """Return whether a word is made of an adjective that there is, as "hardly" and "possibly" are."""
    return word.endswith("ly") and not known.isdisjoint({word[:-2], f"{word[:-1]}e", f"{word[:-3]}y"})


def _words(prompt: str) -> set[str]:
    return {word for word in _WORD.findall(prompt.lower()[:2_000]) if word not in _EMPTY}


def _different(ranked: Sequence[str]) -> tuple[str, ...]:
    """Return the first words of which no two begin alike."""
    chosen: list[str] = []
    for word in ranked:
        if len(chosen) < _NAMED_BY and not any(word[:_STEM] == other[:_STEM] for other in chosen):
            chosen.append(word)
    return tuple(chosen)
