from benchmarks.proxies.arena import Sample
from benchmarks.proxies.workers import gain


def sample(*, cpu_s: float, busiest_s: float) -> Sample:
    return Sample(1000, 0, 1.0, 1.0, 0.0, cpu_s, busiest_s, 0.0, 0.0)


def test_one_worker_is_held_up_by_its_own_core_and_two_by_both() -> None:
    assert gain(sample(cpu_s=1.1, busiest_s=1.0), sample(cpu_s=1.1, busiest_s=0.5)) == 2 / 1.1


def test_where_others_take_more_than_the_worker_one_worker_is_held_up_by_both_cores_too() -> None:
    assert gain(sample(cpu_s=3.0, busiest_s=1.0), sample(cpu_s=3.0, busiest_s=0.5)) == 1.0
