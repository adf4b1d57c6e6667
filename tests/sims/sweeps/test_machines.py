import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.sweeps.dial import dial_settings
from highwayman.sims.sweeps.machines import Machines, on_one_thread
from highwayman.sims.sweeps.trial import SweepTrial
from tests.sims.sweeps.small import plan, prepared

BY = plan("Uniform")
READY = prepared(by=BY)


def trials(world: str = "calm") -> list[SweepTrial]:
    return [SweepTrial("t", world, "Uniform", seed, dial_settings(READY.table, BY)[0], BY) for seed in range(3)]


class RayTaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Ray(ModuleType):
    """Does at once what a cluster would do later: the real Ray is too large for a test's environment."""

    def __init__(self, refused: Exception | None = None, *, connected: bool = False) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayTaskError=RayTaskError)
        self.refused, self.connected, self.said = refused, connected, list[str]()

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, address: str, **options: Any) -> None:
        self.said.append(f"init {address}")
        if self.refused is not None:
            raise self.refused

    def shutdown(self) -> None:
        self.said.append("shutdown")

    def put(self, value: object) -> object:
        self.said.append("put")
        return value

    def remote(self, function: Callable[..., Any]) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *given: (function, given))

    def get(self, task: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
        try:
            return task[0](*task[1])
        except Exception as error:
            raise RayTaskError(error) from error


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ray]:
    def installed(*given: Any, **how: Any) -> Ray:
        found = Ray(*given, **how)
        monkeypatch.setitem(sys.modules, "ray", found)
        return found

    return installed


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_processes_that_cannot_be_is_refused(jobs: int) -> None:
    with pytest.raises(ConfigError, match=f"jobs must be a number of processes, or -1 for one per core, got {jobs}"):
        Machines(jobs).check()


@pytest.mark.parametrize("missing", ["joblib", "threadpoolctl"])
def test_a_library_that_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=rf"needs {missing}: pip install 'highwayman\[sims\]'"):
        Machines().check()


def test_without_ray_a_cluster_cannot_be_used_and_with_it_decides_on_its_own_processors(
    monkeypatch: pytest.MonkeyPatch, ray: Callable[..., Ray]
) -> None:
    ray()
    Machines(-1, "auto").check()
    with pytest.raises(ConfigError, match="leave jobs away, got 3"):
        Machines(3, "auto").check()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="needs ray: pip install ray, of the version that the cluster runs"):
        Machines(-1, "auto").check()


def test_a_cluster_gives_what_this_machine_gives_in_order_and_is_left_afterwards(ray: Callable[..., Ray]) -> None:
    cluster = ray()
    here = [on_one_thread(trial, READY) for trial in trials()]
    assert repr(list(Machines(-1, "auto").run(trials(), {"t": READY}))) == repr(here)
    assert cluster.said == ["init auto", "put", "shutdown"]


def test_a_connection_that_is_there_already_is_used_and_kept(ray: Callable[..., Ray]) -> None:
    cluster = ray(connected=True)
    assert len(list(Machines(-1, "auto").run(trials(), {"t": READY}))) == 3
    assert cluster.said == ["put"]


def test_no_cluster_at_an_address_is_told_in_a_line(ray: Callable[..., Ray]) -> None:
    ray(ConnectionError("Could not find any running Ray instance.\nPlease specify"))
    with pytest.raises(ConfigError) as caught:
        list(Machines(-1, "somewhere:1").run(trials(), {"t": READY}))
    assert str(caught.value) == (
        "no Ray cluster at 'somewhere:1'; `ray start --head` starts one: Could not find any running Ray instance."
    )


@pytest.mark.parametrize("machines", [Machines(1), Machines(-1, "auto")])
def test_what_a_trial_raises_is_raised_as_it_is(ray: Callable[..., Ray], machines: Machines) -> None:
    cluster = ray()
    with pytest.raises(WorldError, match="unknown arm 'nosuch'"):
        list(machines.run(trials("ArmRemoved:arm=nosuch"), {"t": READY}))
    assert cluster.said[-1:] in ([], ["shutdown"])
