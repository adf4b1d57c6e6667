import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.cost.objective import Objective
from highwayman.sims.simulation.drawing import generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.world_spec import parse_world
from highwayman.sims.simulation.worlds.arm_removed import ArmRemoved
from highwayman.sims.simulation.worlds.regulation import Regulation
from tests.sims.simulation.courses import contexts, course


def test_from_noon_on_a_share_of_the_requests_may_go_to_some_arms_only() -> None:
    scenario = course(Regulation(share=0.3, allowed="small;middle"))
    assert scenario.available[:2000].all()
    assert scenario.available[:, :2].all()
    assert scenario.available[2000:, 2].mean() == pytest.approx(0.7, abs=0.03)
    assert scenario.barred is not None
    assert (scenario.available | scenario.barred).all()


def test_one_law_may_follow_another_and_be_about_one_task() -> None:
    scenario = course(Regulation(share=1.0, task="code", allowed="small", allowed_before="small;middle"))
    code = np.array(scenario.tasks) == "code"
    assert scenario.available[~code].all()
    assert scenario.available[:2000][code[:2000]].tolist() == [[True, True, False]] * int(code[:2000].sum())
    assert scenario.available[2000:][code[2000:]].tolist() == [[True, False, False]] * int(code[2000:].sum())


def test_an_arm_that_is_gone_is_not_back_for_being_barred() -> None:
    scenario = course(Regulation(share=1.0, allowed="small"), ArmRemoved("large"))
    assert not (scenario.available | scenario.barred)[2000:, 2].any()


def test_what_was_learned_of_an_arm_outlasts_the_requests_that_it_may_not_have() -> None:
    scenario = course(Regulation(share=0.5, allowed="small", from_share=0.0), rounds=600)
    policy = LinTS(d=2, fingerprint="f")
    router = SimulatedRouter(Objective("auto", 0.0), ExplorationRules(0.0))
    run = simulate(policy, scenario, contexts(), router=router, rng=generator(0, "draws"))
    assert not (run.probs[~scenario.available] > 0).any()
    free = scenario.available[:, 2]
    assert (run.actions[300:][free[300:]] == 2).mean() > 0.9  # large is best, and known to be
    assert (run.actions[~free] == 0).all()


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("Regulation:share=2", "share must be a number in"),
        ("Regulation:allowed=lagre", "unknown arm 'lagre'"),
        ("Regulation:task=cod", "no prompt is of the task 'cod'"),
    ],
)
def test_a_law_that_cannot_be_is_refused(spec: str, why: str) -> None:
    with pytest.raises(WorldError, match=why):
        course(*parse_world(spec))
