"""What learners of one process share, and what each has of its own."""

from highwayman.feedback.log.events import encode
from highwayman.feedback.tournament.ramp import BEST_CONSTANT
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from tests.feedback.worlds import decision


def test_an_event_that_one_learner_of_a_process_has_read_is_decoded_once_for_all_of_them() -> None:
    config = Config()
    factory = LearnerFactory(config, (), warm_encoder(config))
    data = encode(decision("d"))
    assert factory.decode(data) is factory.for_contender(BEST_CONSTANT).decode(data)
    assert LearnerFactory(config, (), factory.encoder).decode(data) is not factory.decode(data)
