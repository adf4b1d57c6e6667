from benchmarks.timeline import HOOKS


def test_who_tells_of_a_step_is_there_to_tell() -> None:
    assert [(owner.__name__, name) for owner, name, _, _ in HOOKS if not callable(getattr(owner, name, None))] == []
