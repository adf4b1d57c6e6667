import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

from highwayman.env.errors import ConfigError
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope import estimators, intervals
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.clipped_ips import ClippedIPS
from highwayman.sims.ope.estimators.on_policy import OnPolicy
from highwayman.sims.ope.intervals.bootstrap import ClusteredBootstrap
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.method_spec import load_estimator, load_interval
from tests.sims.ope.estimators.logs import log_of

LOG = log_of([0, 1], [0.01, 0.5], [1.0, 1.0])
NOT_A_CLASS = Normal()


def defined(package: ModuleType, method: str) -> dict[str, type]:
    """Return the classes with that method, and without abstract ones, that a package's files define."""
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, one in inspect.getmembers(import_module(info.name), inspect.isclass):
            if one.__module__ == info.name and hasattr(one, method) and not inspect.isabstract(one):
                found[name] = one
    return found


def ratio(spec: str) -> float:
    """Return the weight of a round that the log drew with probability 0.01 and the target takes for sure."""
    target = log_of([0, 0], [1.0, 1.0], [0.0, 0.0]).eligible * [1.0, 0.0]
    rounds: RoundValues = load_estimator(spec).rounds(LOG, target)
    return float(rounds.ratio[0])


def test_every_estimator_is_found_by_its_name_but_the_one_that_is_of_the_log_alone() -> None:
    there = defined(estimators, "rounds")
    assert {"IPS", "SNIPS", "DoublyRobust", "OnPolicy"} <= set(there)
    for name, one in there.items():
        if one is not OnPolicy:
            assert type(load_estimator(name)) is one
    with pytest.raises(ConfigError, match="unknown estimator 'OnPolicy'"):
        load_estimator("OnPolicy")


def test_every_interval_is_found_by_its_name() -> None:
    there = defined(intervals, "interval")
    assert {"Normal", "ClusteredBootstrap", "ConfidenceSequence"} <= set(there)
    for name, one in there.items():
        assert type(load_interval(name)) is one


def test_options_are_read_as_numbers_and_change_what_is_made() -> None:
    assert ratio("IPS") == pytest.approx(100.0)
    assert ratio("ClippedIPS:cap=10") == pytest.approx(10.0)
    assert ratio("ClippedIPS: cap = 2.5") == pytest.approx(2.5)
    assert isinstance(load_interval("ClusteredBootstrap:replicates=50,seed=3"), ClusteredBootstrap)


def test_what_is_ones_own_is_named_by_its_import_path() -> None:
    path = "highwayman.sims.ope.estimators.clipped_ips:ClippedIPS"
    assert type(load_estimator(path)) is ClippedIPS
    assert ratio(f"{path}:cap=4") == pytest.approx(4.0)
    assert type(load_interval("highwayman.sims.ope.intervals.normal:Normal:level=0.9")) is Normal


class Halved:
    """An estimator of one's own, without options."""

    def fit(self, log: LoggedData) -> None:
        """Learn nothing."""

    def rounds(self, log: LoggedData, target: object) -> None:
        """Return nothing."""


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("snips", "unknown estimator 'snips' (did you mean 'SNIPS'?): known are ClippedIPS, DirectMethod"),
        ("DoublyRobost", "did you mean 'DoublyRobust'?"),
        ("", "unknown estimator ''"),
        ("Normal", "unknown estimator 'Normal'"),
        ("ClippedIPS:cup=3", "unexpected keyword argument 'cup'; it takes cap: float = 100.0"),
        ("ClippedIPS:cap=-1", "estimator 'ClippedIPS:cap=-1': cap must be > 0, got -1"),
        ("ClippedIPS:cap=much", "estimator 'ClippedIPS:cap=much'"),
        ("ClippedIPS:cap=1,2", "'2' is no option=value"),
        ("ClippedIPS:cap=1,cap=2", "cap is given twice"),
        ("SNIPS:cap=1", "SNIPS() takes no arguments; it takes no options"),
        ("nowhere.to:Be", "No module named 'nowhere'"),
        ("highwayman.sims.ope.estimators.ips:IPX", "no attribute 'IPX'; give module:Class"),
        (":IPS", "Empty module name"),
        (".ips:IPS", "relative import"),
        ("builtins:dict", "lacks fit and rounds, which every estimator has"),
        ("tests.sims.ope.test_method_spec:NOT_A_CLASS", "is no class"),
        ("tests.sims.ope.test_method_spec:Halved:by=2", "it takes no options"),
        ("highwayman.sims.ope.estimators.modelled:Modelled", "abstract"),
    ],
)
def test_what_cannot_be_made_is_named_with_what_could(spec: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_estimator(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_interval_has_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"unknown interval 'Nomral' \(did you mean 'Normal'\?\): known are Clust"):
        load_interval("Nomral")
    with pytest.raises(ConfigError, match=r"level must be in \(0, 1\), got 2; it takes level: float = 0.95"):
        load_interval("Normal:level=2")
