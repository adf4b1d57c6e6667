"""From a text to the ids of its word pieces, each word of plain ASCII split only once while it is remembered."""

import re
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

UNKNOWN: Final = "[UNK]"
REMEMBERED_WORDS: Final = 8_192  # under 2 MB; only those that are no pieces themselves need it
LONGEST_REMEMBERED: Final = 24  # characters: a longer one is a key or a hash, and nothing to be kept
_LONGEST: Final = 100  # characters: a longer word is unknown
_INNER: Final = "##"  # how pieces begin that begin no word

# What BERT's uncased normalizer and pre-tokenizer do to ASCII: control characters go, whitespace parts words, letters
# become small, a punctuation mark is a word by itself.
_CONTROLS: Final = bytes(code for code in (*range(32), 127) if code not in b"\t\n\r")
_SMALL: Final = bytes(range(256)).lower().translate(bytes.maketrans(b"\t\n\r", b"   "))
_WORD: Final = re.compile(r"[a-z0-9]+|[^ a-z0-9]")
_PLACE: Final = np.dtype(np.intp).char  # what `array` calls that type
# What stands between two blanks, if not all of it is ASCII. It can begin only after a blank: so no text is read twice.
_FOREIGN: Final = re.compile(r"((?<![^ ])[^ \x80-\U0010ffff]*[^\x00-\x7f][^ ]*)")
_NORMALIZER: Final = normalizers.BertNormalizer(lowercase=True)
_PRE_TOKENIZER: Final = pre_tokenizers.BertPreTokenizer()


class WordPieces:
    """BERT's uncased tokenizer (Devlin et al., 2019) without its unknown words; safe for several threads.

    The tokenizer proper takes more than a microsecond a token, most of it for offsets that nobody reads, and 7 MB for
    a vocabulary of 30,000. Nothing that it does reaches over a blank, nor in ASCII from one word to the next, so a word
    can be looked up: in the vocabulary, then among the words that were split before.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        """Take the pieces, whose places are their ids."""
        self._by_word = _IdsByWord(pieces)

    def ids(self, text: str) -> npt.NDArray[np.intp]:
        """Return the ids of the pieces of `text`, shape (n,), in order, without those of unknown words."""
        words = _ascii_words(text) if text.isascii() else _words(text)
        return np.frombuffer(b"".join(map(self._by_word.__getitem__, words)), dtype=np.intp)

    @property
    def remembered(self) -> int:
        """How many words are remembered that the vocabulary does not have whole, at most `REMEMBERED_WORDS`."""
        return len(self._by_word) - self._by_word.whole


class _IdsByWord(dict[str, bytes]):
    """The ids of what stands between two blanks, as bytes of `np.intp`, which are joined sooner than numbers.

    Words of the vocabulary stay; short ones that had to be split are forgotten when too many.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        ids = {piece: array(_PLACE, [place]).tobytes() for place, piece in enumerate(pieces)}
        super().__init__((piece, ids[piece]) for piece in pieces if _WORD.fullmatch(piece))
        self._inner = {piece[len(_INNER) :]: ids.pop(piece) for piece in pieces if piece.startswith(_INNER)}
        self._first, self._longest_piece = ids, max(map(len, pieces))
        self.whole = len(self)  # words of the vocabulary: they stand before those that had to be split

    def __missing__(self, word: str) -> bytes:
        ids = self._pieces_of(word) if word.isalnum() and word.isascii() else self._split(word)
        if len(word) <= LONGEST_REMEMBERED:
            if len(self) >= self.whole + REMEMBERED_WORDS:
                for split in list(self)[self.whole :]:  # what is common is soon back
                    self.pop(split, None)
            self[word] = ids
        return ids

    def _split(self, word: str) -> bytes:
        if word.isascii():  # a word and the marks around it, or a mark alone
            words = _WORD.findall(word)
            return b"".join(map(self.__getitem__, words)) if len(words) > 1 else self._pieces_of(word)
        parts = _PRE_TOKENIZER.pre_tokenize_str(_NORMALIZER.normalize_str(word))
        return b"".join([self._pieces_of(part) for part, _ in parts])

    def _pieces_of(self, word: str) -> bytes:
        """Return the ids of the longest piece that it begins with, of the longest then, and so on; or of none."""
        ids, size, longest, pieces = b"", len(word), self._longest_piece, self._first
        if size > _LONGEST:
            return b""
        start = 0
        while start < size:
            end = size if size - start < longest else start + longest
            while (piece := word[start:end]) not in pieces:
                end -= 1
                if end == start:
                    return b""
            ids += pieces[piece]
            start, pieces = end, self._inner
        return ids


def _ascii_words(text: str) -> list[str]:
    """Return what stands between the blanks of a text of ASCII, words with the marks around them, in small letters."""
    return text.encode("ascii").translate(_SMALL, _CONTROLS).decode("ascii").split()


def _words(text: str) -> Iterator[str]:
    """Yield the words of any text, those not of ASCII alone as they stand between two blanks."""
    for place, part in enumerate(_FOREIGN.split(text)):
        if place % 2:
            yield part
        elif len(part) > 1:
            yield from _ascii_words(part)


def word_piece_tokenizer(pieces: Sequence[str]) -> Tokenizer:
    """Return BERT's uncased tokenizer over `pieces`, whose places are their ids; it neither pads nor truncates."""
    vocab = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocab, unk_token=UNKNOWN, max_input_chars_per_word=_LONGEST))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _NORMALIZER, _PRE_TOKENIZER
    return tokenizer
