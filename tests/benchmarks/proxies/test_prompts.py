from itertools import islice

from benchmarks.proxies.prompts import prompts
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.engines.word_pieces import WordPieces


def test_prompts_have_some_sixty_word_pieces_and_never_come_twice() -> None:
    texts = list(islice(prompts(seed=1), 200))
    pieces = WordPieces((ASSETS / "static_vocab.txt").read_text(encoding="utf-8").split("\n"))
    lengths = [len(pieces.ids(text)) for text in texts]
    assert 55 < sum(lengths) / len(lengths) < 70
    assert len(set(texts)) == len(texts)
    assert all(text.isascii() and '"' not in text and "\\" not in text for text in texts)
