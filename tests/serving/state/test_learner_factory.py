"""What learners of one process share, and what each has of its own."""

from highwayman.feedback.tournament.ramp import BEST_CONSTANT
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder


def test_learners_of_one_process_read_one_tail_of_the_log() -> None:
    config = Config()
    factory = LearnerFactory(config, (), warm_encoder(config))
    assert factory.tail is factory.for_contender(BEST_CONSTANT).tail
    assert LearnerFactory(config, (), factory.encoder).tail is not factory.tail
