from highwayman.env.revision import Revision


def test_a_number_stands_until_something_else_is_believed_or_a_belief_ends() -> None:
    now, ends = [0.0], [5.0]
    revision = Revision(lambda: now[0], lambda: ends)
    assert revision.number() == revision.number()
    before = revision.number()
    revision.advance()
    assert revision.number() != before
    ends.append(7.0)
    for at, is_another in ((4.9, False), (5.1, True), (6.9, False), (7.1, True), (99.0, False)):
        before, now[0] = revision.number(), at
        assert (revision.number() != before) is is_another, at


def test_what_is_believed_at_its_last_moment_is_looked_at_again_after_it() -> None:
    now = [0.0]
    revision = Revision(lambda: now[0], lambda: [5.0])
    revision.advance()
    now[0] = 5.0
    at_its_end = revision.number()
    now[0] = 5.1
    assert revision.number() != at_its_end
