from highwayman.env.upstream.attempts.retry_budget import RetryBudget


def test_what_is_saved_up_is_there_at_once_and_each_request_brings_one_more_attempt() -> None:
    budget = RetryBudget(reserve=2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.on_request()
    assert [budget.take() for _ in range(2)] == [True, False]


def test_no_more_is_saved_up_than_the_reserve() -> None:
    budget = RetryBudget(reserve=2)
    for _ in range(9):
        budget.on_request()
    assert [budget.take() for _ in range(3)] == [True, True, False]
