"""What is checked of a configuration and its pool: by `config check`, by a start, and before either changes."""

from collections.abc import Collection, Iterable

from highwayman.env.types import Arm
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.serving.wiring.answer_cache import check_names
from highwayman.serving.wiring.cascades import check_asked
from highwayman.serving.wiring.feedback import check_judge
from highwayman.serving.wiring.routing import exploration_rules


def check_configuration(factory: LearnerFactory) -> None:
    """Raise ConfigError for policies that cannot be, or where the configuration does not go together."""
    factory.check_policies()
    exploration_rules(factory.config, factory.policy())
    factory.config.shadow.forbidden(factory.config.declared_tags())
    if factory.config.privacy is not None:
        factory.config.privacy.load_detector()


def check_arms(config: Config, arms: Collection[Arm], *, named_zones: Iterable[str]) -> None:
    """Raise ConfigError for an arm that a configuration names, or a zone, and that is not among the pool's.

    `named_zones` are those of the models that are asked by name.
    """
    names = [arm.name for arm in arms]
    if config.privacy is not None:
        config.privacy.check_zones([*(arm.zone for arm in arms), *named_zones])
    for name, tenant in config.tenants.items():
        tenant.check_arms(name, names)
    if config.control is not None:
        config.control.weights(names)
    if config.cascade is not None:
        check_asked(config.cascade.load_signals(), names)
    stored = config.answer_cache
    if stored is not None:
        check_names(stored, names)
    config.shadow.check_arms(names, config.feedback.judge.arms)
    check_judge(config.feedback.judge, names, [*names, *([] if stored is None else stored.arm_names())])


def check_edited_arms(config: Config, before: Collection[Arm], after: Collection[Arm]) -> None:
    """Raise ConfigError for an arm or a zone that an edit has taken away, and that a configuration names.

    Whoever edits from afar does not know the models that are asked by name: a zone without an arm before is theirs.
    """
    zones = set() if config.privacy is None else config.privacy.zones()
    check_arms(config, after, named_zones=zones - {arm.zone for arm in before})
