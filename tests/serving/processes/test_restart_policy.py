from highwayman.serving.processes.restart_policy import KEEP_TRYING, RestartPolicy


def test_restarts_wait_longer_each_time_and_end_when_deaths_come_too_fast() -> None:
    policy = RestartPolicy(first_s=1.0, longest_s=4.0, limit=4, window_s=100.0)
    assert [policy.delay_s([0.0] * deaths, now=0.0) for deaths in range(1, 6)] == [1.0, 2.0, 4.0, 4.0, None]
    assert policy.delay_s([0.0] * 9 + [200.0], now=200.0) == 1.0


def test_by_default_pauses_grow_to_ten_seconds_and_a_process_is_never_given_up() -> None:
    delays = [KEEP_TRYING.delay_s([0.0] * deaths, now=1e9) for deaths in (1, 2, 6, 7, 5000)]
    assert delays == [0.2, 0.4, 6.4, 10.0, 10.0]
