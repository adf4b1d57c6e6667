from highwayman.pages.palette import OTHERS
from highwayman.sims.plots.look import Look
from tests.sims.plots.synthetic import results


def test_policies_look_different_from_each_other() -> None:
    look = Look.of(results(policies={f"p{number}": 0.0 for number in range(24)}, seeds=1, bins=1, full=False))
    assert len({(look.policies[name], look.dash(name)) for name in look.policies}) == 24


def test_of_many_arms_the_eight_taken_most_have_colors_the_same_in_every_world() -> None:
    names = [f"arm {number}" for number in range(12)]
    made = results(worlds={"calm": 1.0, "drift": 0.5}, policies={"p": 0.1}, seeds=1, bins=2, names=names)
    colors = Look.of(made).arms["mixed_bench"]
    assert list(colors) == names
    own = [color for color in colors.values() if color != OTHERS]
    assert own == [f"var(--a{place})" for place in range(1, 9)]
    taken = {arm: sum(run.shares[place] for run in made.runs if run.policy == "p") for place, arm in enumerate(names)}
    assert {arm for arm in names if colors[arm] == OTHERS} == set(sorted(names, key=lambda arm: taken[arm])[:4])
