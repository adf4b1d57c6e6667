"""How far estimates of tokens are from real tokenizers: python -m benchmarks.token_estimates [--texts 200]

Needs the packages whose wheels carry vocabularies (litellm: GPT-4o, GPT-4, DeepSeek, an old Claude; dashscope: Qwen;
mistral-common: Mistral's tekken and the SentencePiece model of Mistral 7B) and those whose texts are taken (django,
wagtail), in a virtual environment of its own:

    python -m venv /tmp/tokens && /tmp/tokens/bin/pip install litellm dashscope mistral-common django wagtail
    PYTHONPATH=src:. /tmp/tokens/bin/python -m benchmarks.token_estimates

Printed per kind of text and tokenizer is the median absolute error of the estimate in percent, and behind the bar that
after the tokenizer was learned as an arm's is, from half of the texts; the other half is what both are measured on.
"""

import argparse
import ast
import base64
import importlib
import inspect
import json
import os
import random
import re
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.prompt.reading import Reading, read_chat

Count = Callable[[str], int]
_LEAST_PROSE_CHARS = 150
_LONGEST = 8_000
_STDLIB = Path(sysconfig.get_paths()["stdlib"])
_SITE = Path(sysconfig.get_paths()["purelib"])
_MODULES = (
    "os", "shutil", "json", "random", "statistics", "textwrap", "subprocess", "datetime", "pathlib", "difflib", "csv",
    "zipfile", "socket",
)  # fmt: skip
_LANGUAGES = {
    "Chinese": ("zh_Hans",), "Chinese, traditional": ("zh_Hant",), "Arabic": ("ar",), "Cyrillic": ("ru", "uk", "bg"),
    "Japanese": ("ja",), "Korean": ("ko",), "Greek": ("el",), "Hebrew": ("he",), "Hindi": ("hi",), "Thai": ("th",),
    "German, French, Spanish": ("de", "fr", "es"), "Polish, Czech, Turkish": ("pl", "cs", "tr"),
}  # fmt: skip
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=200, help="of each kind")
    options = parser.parse_args()
    tokenizers = load_tokenizers()
    print(f"{'':<25}" + "".join(f"{name:>14}" for name in tokenizers))
    for kind, bodies in prompts(random.Random(0), options.texts).items():
        if len(bodies) < 20:
            continue
        errors = [measured(bodies, count) for count in tokenizers.values()]
        print(f"{kind:<25}" + "".join(f"{f'{plain:.0%} | {learned:.0%}':>14}" for plain, learned in errors))


def measured(bodies: Sequence[Mapping[str, Any]], count: Count) -> tuple[float, float]:
    """Return the median absolute error of estimates, a share, before and after the tokenizer was learned."""
    readings = [read_chat(body) for body in bodies]
    true = np.array([count(rendered(body)) for body in bodies], dtype=np.float64)  # (n,)
    estimates = np.array([reading.tokens for reading in readings], dtype=np.float64)  # (n,)
    half = len(bodies) // 2
    corrected = learned(readings[:half], true[:half], readings[half:])
    apart = [abs(guess / true[half:] - 1.0) for guess in (estimates[half:], corrected)]
    return float(np.median(apart[0])), float(np.median(apart[1]))


def learned(taught: Sequence[Reading], true: Iterable[float], asked: Sequence[Reading]) -> np.ndarray:
    """Return what is expected of prompts, shape (n,), once an arm has reported the usage of others, by script."""
    fits: dict[str, TokenFit] = {}
    for reading, tokens in zip(taught, true, strict=True):
        fits[reading.script] = fits.get(reading.script, TokenFit()).plus(reading.tokens, tokens)
    lines = [fits.get(reading.script, TokenFit()).line() for reading in asked]
    return np.array([a + b * reading.tokens for (a, b), reading in zip(lines, asked, strict=True)])


def rendered(body: Mapping[str, Any]) -> str:
    """Return the prompt as Qwen's and many other chat templates write it: roles, and tools as lines of JSON."""
    tools = "\n".join(json.dumps(tool) for tool in body.get("tools") or ())
    head = f"<tools>\n{tools}\n</tools>\n" if tools else ""
    return head + "".join(f"{message['role']}\n{message['content']}\n" for message in body["messages"])


def load_tokenizers() -> dict[str, Count]:
    """Return what counts tokens, by name, for every vocabulary that is installed."""
    vocabularies = _SITE / "litellm" / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(vocabularies)
    tiktoken, tokenizers = importlib.import_module("tiktoken"), importlib.import_module("tokenizers")
    tekken = json.loads((_SITE / "mistral_common" / "data" / "tekken_240911.json").read_text())
    config = tekken["config"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in tekken["vocab"]}
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {token: rank for token, rank in ranks.items() if rank < size}
    qwen = importlib.import_module("tiktoken.load").load_tiktoken_bpe(str(_SITE / "dashscope/resources/qwen.tiktoken"))
    encodings = {
        "GPT-4o": tiktoken.get_encoding("o200k_base"),
        "GPT-4": tiktoken.get_encoding("cl100k_base"),
        "Qwen": tiktoken.Encoding("qwen", pat_str=_QWEN, mergeable_ranks=qwen, special_tokens={}),
        "Mistral": tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={}),
    }
    counts: dict[str, Count] = {name: _ordinary(encoding) for name, encoding in encodings.items()}
    for name, file in (("DeepSeek", "deepseek_tokenizer.json"), ("Claude (old)", "anthropic_tokenizer.json")):
        counts[name] = _special_free(tokenizers.Tokenizer.from_file(str(vocabularies / file)))
    pieces = importlib.import_module("sentencepiece").SentencePieceProcessor
    model = pieces(model_file=str(_SITE / "mistral_common" / "data" / "tokenizer.model.v1"))
    counts["Mistral 7B"] = lambda text: len(model.encode(text))
    return counts


def _ordinary(encoding: Any) -> Count:
    return lambda text: len(encoding.encode_ordinary(text))


def _special_free(tokenizer: Any) -> Count:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def prompts(rng: random.Random, n: int) -> dict[str, list[dict[str, Any]]]:
    """Return up to n chats of each kind of text, of 100 to 8,000 characters."""
    sources = sorted(path for root in (_STDLIB, _SITE / "django") for path in root.rglob("*.py"))
    documents = sorted(path for path in _SITE.rglob("*.json") if path.stat().st_size > 500)
    paragraphs = list(prose(sources[:2_000]))
    rng.shuffle(paragraphs)
    texts = {
        "prose": [" ".join(paragraphs[k : k + rng.randrange(1, 6)]) for k in range(0, 5 * n, 5)],
        "code": cuttings(sources, rng, n),
        "JSON": cuttings(documents, rng, n),
    }
    for kind, languages in _LANGUAGES.items():
        texts[kind] = translations(languages, rng, n)
    chats = {kind: [{"messages": [{"role": "user", "content": text}]} for text in own] for kind, own in texts.items()}
    tools = stdlib_tools()
    chats["tools"] = [
        {"messages": [{"role": "user", "content": text}], "tools": rng.sample(tools, rng.randrange(1, 30))}
        for text in texts["prose"]
    ]
    return chats


def prose(sources: Iterable[Path]) -> Iterable[str]:
    """Yield paragraphs of English from docstrings, those that are little but words."""
    for source in sources:
        try:
            tree = ast.parse(source.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                    text = " ".join(paragraph.split())
                    words = sum(char.isalpha() or char == " " for char in text)
                    if len(text) > _LEAST_PROSE_CHARS and words / len(text) > 0.95:
                        yield text


def cuttings(files: Sequence[Path], rng: random.Random, n: int) -> list[str]:
    """Return n pieces of files, cut at lines where there are any."""
    cut: list[str] = []
    while len(cut) < n:
        text = rng.choice(files).read_text(encoding="utf-8", errors="replace")
        start = text.rfind("\n", 0, rng.randrange(max(len(text) - 200, 1))) + 1
        piece = text[start : start + int(100 * (_LONGEST / 100) ** rng.random())]
        if len(piece) >= 100:
            cut.append(piece)
    return cut


def translations(languages: Iterable[str], rng: random.Random, n: int) -> list[str]:
    """Return up to n texts, of several sentences each, out of the catalogues of messages in these languages."""
    sentences: list[str] = []
    for language in languages:
        for file in sorted(_SITE.glob(f"*/**/locale*/{language}/LC_MESSAGES/*.po")):
            for quoted in re.findall(r'^msgstr ((?:"(?:[^"\\]|\\.)*"\n)+)', file.read_text(encoding="utf-8"), re.M):
                text = "".join(ast.literal_eval(line) for line in quoted.splitlines())
                if len(text) > 20 and not re.search(r"[%{<]|Project-Id", text):
                    sentences.append(text)
    starts = [rng.randrange(max(len(sentences) - 20, 1)) for _ in range(n if len(sentences) > 40 else 0)]
    return [" ".join(sentences[start : start + rng.randrange(2, 20)]) for start in starts]


def stdlib_tools() -> list[dict[str, Any]]:
    """Return functions of the standard library as tools are declared."""
    tools = []
    for module in map(importlib.import_module, _MODULES):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            names = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]
            described = (inspect.getdoc(function) or "").split("\n\n")[0]
            properties = {
                parameter: {"type": "string", "description": f"The {parameter} of {name}"} for parameter in names
            }
            schema = {"type": "object", "properties": properties, "required": names[:1]}
            declared = {"name": f"{module.__name__}_{name}", "description": described, "parameters": schema}
            tools.append({"type": "function", "function": declared})
    return tools


if __name__ == "__main__":
    main()
