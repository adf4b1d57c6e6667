"""Policies by their names: shipped ones by the name of their class, others by an import path."""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Mapping
from inspect import Parameter
from types import MappingProxyType, ModuleType
from typing import Any

from highwayman.bandit.looking_away import looking_away
from highwayman.bandit.policy import Policy
from highwayman.env.class_paths import class_at
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Floats

_PACKAGE = "highwayman.bandit.policies"  # named, not imported: it lies above
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PASSED_ON = re.compile(r"options of `(\w+)`")
_NOTE = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)  # of an argument, in a docstring

# Lineages of these were named by the path that the class had at the time. The names stay, wherever the classes move.
_LINEAGE_NAMES = MappingProxyType(
    {
        "Cheapest": "highwayman.bandit.cheapest:Cheapest",  # as written before
        "ClusterUCB": "highwayman.bandit.cluster_ucb:ClusterUCB",  # as written before
        "DuelingLinTS": "highwayman.bandit.dueling_lin_ts:DuelingLinTS",  # as written before
        "EpsilonGreedy": "highwayman.bandit.epsilon_greedy:EpsilonGreedy",  # as written before
        "Fixed": "highwayman.bandit.fixed:Fixed",  # as written before
        "HierTS": "highwayman.bandit.hier_ts:HierTS",  # as written before
        "HybridLinUCB": "highwayman.bandit.hybrid_lin_ucb:HybridLinUCB",  # as written before
        "KNearest": "highwayman.bandit.k_nearest:KNearest",  # as written before
        "LinTS": "highwayman.bandit.lin_ts:LinTS",  # as written before
        "LinUCB": "highwayman.bandit.lin_ucb:LinUCB",  # as written before
        "NeuralLinear": "highwayman.bandit.neural_linear:NeuralLinear",  # as written before
        "Softmax": "highwayman.bandit.softmax:Softmax",  # as written before
        "SquareCB": "highwayman.bandit.square_cb:SquareCB",  # as written before
        "Uniform": "highwayman.bandit.uniform:Uniform",  # as written before
        "VowpalWabbit": "highwayman.bandit.vowpal_wabbit:VowpalWabbit",  # as written before
    }
)


def policy_name(name: str) -> str:
    """Return the name a policy is known by: of a shipped one its class name, however it was given.

    `name` is a class name, or an import path `module:Class`, today's or the one that a shipped policy had before.
    """
    class_name = name.rpartition(":")[2]
    return class_name if name in (_LINEAGE_NAMES.get(class_name), _by_convention(class_name)) else name


def policy_path(name: str) -> str:
    """Return the import path of the policy of that name, shipped or not. Raises ConfigError."""
    name = policy_name(name)
    if ":" in name:
        return name
    path = _by_convention(name) or shipped_policies().get(name)
    if path is None:
        known = shipped_policies()
        raise ConfigError(
            f"unknown policy {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}; "
            f"or give module:Class, as {_by_convention('LinTS')}"
        )
    return path


def lineage_name(name: str) -> str:
    """Return what stands for the policy in the name of its lineage: it never changes, wherever the class moves."""
    name = policy_name(name)
    return _LINEAGE_NAMES.get(name, name)


def parse_policy(spec: str) -> tuple[str, dict[str, Any]]:
    """Return import path and options of a policy given as `NAME[:option=value,...]`.

    NAME is the class name of a policy shipped (`LinTS`), or an import path (`module:Class`). Values are read as JSON
    where they are JSON, else as text. Raises ConfigError.

    >>> parse_policy("mine.policies:Best:patience=3,arm=small")
    ('mine.policies:Best', {'patience': 3, 'arm': 'small'})
    """
    name, colon, last = spec.rpartition(":")
    if not colon or "=" not in last:
        name, last = spec, ""
    options: dict[str, Any] = {}
    for pair in filter(None, last.split(",")):
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise ConfigError(f"policy {spec!r}: {pair!r} is no option=value")
        options[key.strip()] = _value(value)
    return policy_path(name), options


def load_policy(
    name: str,
    *,
    d: int,
    fingerprint: str,
    options: Mapping[str, Any] | None = None,
    kept: Floats | None = None,
) -> Policy:
    """Return the policy of that name or import path `module:Class`, built with `options`. Raises ConfigError.

    `kept` (d,) is 0 for features that it shall not see, 1 for the others; None: it sees all.
    """
    path, options = policy_path(name), options or {}
    try:
        kind = policy_class(path)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: a relative path
        example = _by_convention("LinTS")
        raise ConfigError(f"policy {name!r}: {error}; give module:Class, as {example}") from error
    if inspect.isclass(kind):
        _check_options(name, kind, options)
        kind = kind if kept is None else looking_away(kind, kept)
    try:
        policy = kind(d=d, fingerprint=fingerprint, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy {name!r}: {error}") from error
    if not isinstance(policy, Policy):
        raise ConfigError(f"policy {name!r} lacks a method of the Policy protocol")
    return policy


def _check_options(name: str, kind: type, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that the class does not take, with the one that is meant."""
    known = policy_options(kind)
    for option in options:
        if known is not None and option not in known:
            takes = ", ".join(known) or "no options"
            raise ConfigError(f"policy {name!r}: unknown option {option!r}{did_you_mean(option, known)}; takes {takes}")


def policy_options(kind: type) -> dict[str, Parameter] | None:
    """Return the options that a policy's class takes, by name; None if its constructor does not name them all.

    What a constructor passes on with `**` is followed to the class whose options its docstring says they are, and to
    the next constructor that it inherits.
    """
    options: dict[str, Parameter] = {}
    complete = True
    for owner in (
        ancestor for ancestor in inspect.getmro(kind) if "__init__" in vars(ancestor) and ancestor is not object
    ):
        parameters = inspect.signature(vars(owner)["__init__"]).parameters
        passes_on = [name for name, option in parameters.items() if option.kind is Parameter.VAR_KEYWORD]
        options = {**options, **parameters, **options}
        if not passes_on:
            complete = True
            break
        named = _PASSED_ON.findall(inspect.getdoc(vars(owner)["__init__"]) or "")
        takers = [taker for name in named if (taker := vars(sys.modules[owner.__module__]).get(name)) is not None]
        for taker in takers:
            options = {**options, **inspect.signature(taker).parameters, **options}
        complete = bool(takers)
    inner = {"self", "d", "fingerprint", "forgetting"}
    by_keyword = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return {k: v for k, v in options.items() if k not in inner and v.kind in by_keyword} if complete else None


def option_notes(kind: type) -> dict[str, str]:
    """Return what docstrings say of a policy's options, by name; of what is passed on, its takers' do."""
    notes: dict[str, str] = {}
    for owner in (ancestor for ancestor in inspect.getmro(kind) if "__init__" in vars(ancestor)):
        text = inspect.getdoc(vars(owner)["__init__"]) or ""
        takers = (vars(sys.modules[owner.__module__]).get(name) for name in _PASSED_ON.findall(text))
        own = [
            inspect.getdoc(doc) or "" for taker in takers if inspect.isclass(taker) for doc in (taker.__init__, taker)
        ]
        for source in (text, *own):
            _, _, section = source.partition("Args:\n" if "Args:\n" in source else "Attributes:\n")  # a dataclass' own
            told = _NOTE.findall(section.partition("\n\n")[0])
            notes = {**{name: " ".join(note.split()) for name, note in told}, **notes}
    return {name: note for name, note in notes.items() if name in (policy_options(kind) or {})}


def shipped_policies() -> dict[str, str]:
    """Return the import path of each shipped policy by its class name."""
    shipped = {}
    for module in _modules()[0]:
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and kind is not Policy and issubclass(kind, Policy):
                shipped[name] = f"{module.__name__}:{name}"
    return {name: path for name, path in shipped.items() if _can_be_made(policy_class(path))}


def missing_policies() -> dict[str, str]:
    """Return why shipped policies cannot be used here, by name: the library that is not installed."""
    return {name.rpartition(".")[2]: why for name, why in _modules()[1].items()}


def policy_class(path: str) -> Any:
    """Return the class at import path `module:Class`."""
    return class_at(path)


def _by_convention(class_name: str) -> str | None:
    """Return the path of the shipped policy in the file named after it, importing no other; None if there is none."""
    path = f"{_PACKAGE}.{_WORD.sub('_', class_name).lower()}:{class_name}"
    try:
        return path if class_name.isidentifier() and _can_be_made(policy_class(path)) else None
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


def _can_be_made(kind: Any) -> bool:
    """Return whether a class is built as policies are, and not abstract."""
    return not inspect.isabstract(kind) and "d" in inspect.signature(kind).parameters


def _modules() -> tuple[list[ModuleType], dict[str, str]]:
    """Return the modules that hold the shipped policies, and why the others cannot be imported, by name."""
    modules, missing = [], {}
    for info in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__, f"{_PACKAGE}."):
        try:
            modules.append(importlib.import_module(info.name))
        except ImportError as error:  # an extra is not installed
            missing[info.name] = str(error)
    return modules, missing


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()
