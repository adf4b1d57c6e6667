"""Generates prompts of five kinds whose answers a program can check, the same ones for the same seed."""

import json
import random
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from highwayman.demo.questions import facts
from highwayman.demo.questions.checkers import Checker, detail, either, exactly, heading, json_object, names, number
from highwayman.demo.questions.vocabulary import (
    BAD,
    BLAME,
    CITIES,
    DOMAINS,
    FIRST_NAMES,
    GOOD,
    MONTHS,
    NOUNS,
    PRAISE,
    PRODUCTS,
    THINGS,
    TRAITS,
)

_PATIENCE = 1000
# Sums that the local pool's arms are shown as worked examples are not asked.
_SHOWN = ({12, 9}, {15, 8}, {11, 13}, {6, 7})
_VERDICTS = {"good": ("good", "great", "positive"), "bad": ("bad", "negative")}
_SUMS = tuple((a, b) for a in range(3, 20) for b in range(3, 20) if {a, b} not in _SHOWN)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question, the kind it is of, and who decides whether an answer is right."""

    kind: str
    text: str
    expected: str  # for people reading the log
    check: Checker


def generate(count: int, *, seed: int) -> list[Prompt]:
    """Return `count` different prompts, each run of five holding every kind once; the same seed gives the same ones.

    Raises:
        ValueError: there are not so many different prompts of some kind.
    """
    rng = random.Random(seed)  # noqa: S311  (nothing secret)
    prompts: dict[str, Prompt] = {}
    kinds: list[str] = []
    while len(prompts) < count:
        kinds = kinds or rng.sample(sorted(KINDS), len(KINDS))
        prompt = _new_prompt(kinds.pop(), prompts, rng)
        prompts[prompt.text] = prompt
    return list(prompts.values())


def _new_prompt(kind: str, known: Container[str], rng: random.Random) -> Prompt:
    """Return a prompt of `kind` that is not `known` yet."""
    for _ in range(_PATIENCE):
        prompt = KINDS[kind](rng)
        if prompt.text not in known:
            return prompt
    raise ValueError(f"no new prompt of kind {kind!r} after {_PATIENCE} tries; ask for fewer")


def fact(rng: random.Random) -> Prompt:
    """Return a question about the world with a short answer."""
    questions = (
        ("What is the capital of {}?", facts.CAPITALS),
        ("Which city is the capital of {}?", facts.CAPITALS),
        ("Name the capital city of {}.", facts.CAPITALS),
        ("What language do most people speak in {}?", facts.LANGUAGES),
        ("Which language is spoken in {}?", facts.LANGUAGES),
        ("Who wrote {}?", facts.AUTHORS),
        ("{}", facts.MISCELLANY),
        ("Quick question: {}", facts.MISCELLANY),
    )
    template, table = rng.choice(questions)
    key = rng.choice(sorted(table))
    return Prompt("facts", template.format(key), table[key], names(*table[key].split("|")))


def sentiment(rng: random.Random) -> Prompt:
    """Return a review to be called good or bad."""
    right = rng.choice(("good", "bad"))
    adjectives, remarks = (GOOD, PRAISE) if right == "good" else (BAD, BLAME)
    first, second = rng.sample(adjectives, 2)
    review = rng.choice((
        "The {thing} was {first} and {second}.",
        "What a {first} {thing}, so {second}!",
        "The {thing} was {first}, {remark}.",
        "A {first} {thing}: {remark}.",
    )).format(thing=rng.choice(PRODUCTS), first=first, second=second, remark=rng.choice(remarks))  # fmt: skip
    question = rng.choice(('"{}" Is this review good or bad?', 'Is this review good or bad? "{}"'))
    return Prompt("sentiment", question.format(review), right, either(right, _VERDICTS))


def extraction(rng: random.Random) -> Prompt:
    """Return a note from which one detail is to be copied out."""
    name = rng.choice(FIRST_NAMES)
    details = {
        "email": f"{name.lower()}@{rng.choice(DOMAINS)}",
        "month": rng.choice(MONTHS),
        "price": f"${rng.randint(11, 99)}",
        "time": f"{rng.randint(1, 11)}:{rng.choice((15, 30, 45))}",
    }
    wanted, note = rng.choice((
        ("email", "Write to {email} before {month}."),
        ("email", "Send the {thing} photos to {email}."),
        ("month", "{name} will visit {city} in {month}."),
        ("month", "The {thing} was sold in {month}."),
        ("price", "The ticket to {city} costs {price}."),
        ("price", "{name} paid {price} for the {thing}."),
        ("time", "The train to {city} leaves at {time}."),
        ("time", "{name} will call at {time} about the {thing}."),
    ))  # fmt: skip
    note = note.format(name=name, city=rng.choice(CITIES), thing=rng.choice(PRODUCTS), **details)
    question = rng.choice(("Extract the {}: {}", "Find the {}: {}"))
    check = detail(wanted, details[wanted], note=note)
    return Prompt("extraction", question.format(wanted, note), details[wanted], check)


def formatting(rng: random.Random) -> Prompt:
    """Return a text to be written another way."""
    return rng.choice((_upper_case, _heading, _as_json))(rng)


def _upper_case(rng: random.Random) -> Prompt:
    phrase = f"the {rng.choice(TRAITS)} {rng.choice(NOUNS)}"
    question = rng.choice(("Rewrite in upper case: {}", "Write in capital letters: {}"))
    return Prompt("formatting", question.format(phrase), phrase.upper(), exactly(phrase.upper()))


def _heading(rng: random.Random) -> Prompt:
    phrase = f"the {rng.choice(TRAITS)} {rng.choice(NOUNS)}"
    question = rng.choice(("Write as an HTML heading: {}", "Turn into an HTML heading: {}"))
    return Prompt("formatting", question.format(phrase), f"<h1>{phrase}</h1>", heading(phrase))


def _as_json(rng: random.Random) -> Prompt:
    right = {"name": rng.choice(FIRST_NAMES), "city": rng.choice(CITIES)}
    question = rng.choice(("Write as JSON: name {name}, city {city}", "Turn into JSON: name {name}, city {city}"))
    return Prompt("formatting", question.format(**right), json.dumps(right), json_object(right))


def arithmetic(rng: random.Random) -> Prompt:
    """Return a sum of two numbers, bare or in a story."""
    a, b = rng.choice(_SUMS)
    question = rng.choice((
        "What is {a} + {b}?",
        "Calculate {a} plus {b}.",
        "Add {a} and {b}.",
        "How many {things} are {a} {things} and {b} {things}?",
    ))  # fmt: skip
    text = question.format(a=a, b=b, things=rng.choice(THINGS))
    return Prompt("arithmetic", text, str(a + b), number(a + b))


KINDS: Mapping[str, Callable[[random.Random], Prompt]] = {
    "facts": fact,
    "sentiment": sentiment,
    "extraction": extraction,
    "formatting": formatting,
    "arithmetic": arithmetic,
}
