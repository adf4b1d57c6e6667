"""What learns, as the configuration has it: for `serve`, `learn` and the commands that fold the log themselves."""

import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.loading import load_policy
from highwayman.bandit.policy import NamesArms, Policy
from highwayman.bandit.regression.prior import AcceptsPrior, Prior
from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.encoder.features.image_features import make_image_features
from highwayman.env.errors import ConfigError, SnapshotError
from highwayman.env.prompt.image_size import image_size
from highwayman.env.reward import RewardSpec
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import TOLD, Arm, Query
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.intake.pending import PendingFeedback
from highwayman.feedback.learning.log_tail import LogTail
from highwayman.feedback.learning.maintenance import LogMaintenance, MaintenanceLimits
from highwayman.feedback.learning.publications import Publications, lineage
from highwayman.feedback.learning.session import LearnerDependencies
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.learning.worker import Clocks, Worker, no_maintenance
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.tournament.contenders import ConstantContender, PolicyContender, PolicyDial
from highwayman.feedback.tournament.ramp import BEST_CONSTANT
from highwayman.feedback.tournament.scored_learner import ScoredLearner, Scoring
from highwayman.feedback.trust.abuse_monitor import AbuseMonitor
from highwayman.feedback.trust.anomaly_detector import AnomalyDetector
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.feedback.trust.quarantine import Quarantine
from highwayman.serving.config.config import Config
from highwayman.serving.config.policy import PolicyConfig
from highwayman.serving.state.referee import Referee

_FIXED = "Fixed"  # the policy of one arm alone
_CONTENDER_PUBLISHED_EVERY_S = 2.0  # a score is megabytes, and nobody waits for it
_CONTENDER_KEPT_EVERY_S = 3600.0
_THINK_S = 5.0  # a flood is found out within a second or two


@dataclass(frozen=True, slots=True)
class LearnerFactory:
    """A configuration, the pool's arms and the encoder: what decides which lineage is learned, and how."""

    config: Config
    arms: Sequence[Arm]
    encoder: Encoder
    contender: str = ""  # of the tournament; empty: what the router decides with, and not scored
    tail: LogTail = field(default_factory=LogTail, compare=False)  # of the log, for all learners of a process

    def contenders(self) -> "list[LearnerFactory]":
        """Return what makes the learner of whoever is scored beside the router's own."""
        return [self.for_contender(name) for name in self.config.tournament.contenders()]

    def for_contender(self, name: str) -> "LearnerFactory":
        """Return what makes the learner of one of them, with the policy it has."""
        challenger = self.config.tournament.challenger(name)
        policy = self.config.policy if challenger is None else challenger.policy
        policy = PolicyConfig(name=_FIXED) if name == BEST_CONSTANT else policy
        return replace(self, config=self.config.model_copy(update={"policy": policy}), contender=name)

    def check_policies(self) -> None:
        """Raise ConfigError for a policy, the router's or a contender's, that cannot be, or whose arm nobody has."""
        self._check_policy()
        for factory in self.contenders():
            try:
                factory._check_policy()
            except ConfigError as error:
                raise ConfigError(f"tournament.challengers: {factory.contender}: {error}") from error

    def _check_policy(self) -> None:
        policy, settings, names = self.policy(), self.config.policy, self.arm_names
        named = policy.named_arms if self.arms and isinstance(policy, NamesArms) else ()
        for name in named:
            if name not in names:
                known = f"{did_you_mean(name, names)}; there are {', '.join(names)}"
                raise ConfigError(f"policy {settings.name!r}: there is no arm {name!r} in the pool{known}")
        arm = settings.options.get("arm") if settings.name == _FIXED else None
        if arm and self.arms and arm not in names:
            hint = did_you_mean(str(arm), names)  # YAML may have read it as a number
            raise ConfigError(
                f"policy.options.arm: there is no arm {arm!r} in the pool{hint}; there are {', '.join(names)}"
            )

    @property
    def arm_names(self) -> list[str]:
        """The pool's arms, in its order, then those that give stored answers, if any do."""
        stored = self.config.answer_cache
        return [*(arm.name for arm in self.arms), *([] if stored is None else stored.arm_names())]

    @property
    def spec(self) -> RewardSpec:
        """The declared metrics."""
        return self.config.feedback.spec()

    @property
    def lineage(self) -> str:
        """The name of what is learned."""
        policy, prior = self.config.policy, self._prior()
        options = policy.options if prior is None else {**policy.options, "prior": prior.digest}
        options = {**options, "#ignores": sorted(set(policy.ignores))} if policy.ignores else options
        options = {**options, "#contender": self._described()} if self.contender else options
        return lineage(policy.name, options, self.encoder.fingerprint, self.spec.version)

    def policy(self) -> Policy:
        """Return a policy at its prior, without arms. Raises ConfigError."""
        settings, prior = self.config.policy, self._prior()
        kept = settings.kept_features(self.encoder.names, self.encoder.tags)
        policy = load_policy(
            settings.name, d=self.encoder.d, fingerprint=self.encoder.fingerprint, options=settings.options, kept=kept
        )
        if prior is None:
            return policy
        if not isinstance(policy, AcceptsPrior):
            raise ConfigError(f"policy {settings.name!r} takes no prior; the linear ones do")
        policy.apply_prior(prior)
        return policy

    def _prior(self) -> Prior | None:
        """Return the prior in the file that the configuration names. Raises ConfigError if it cannot be used."""
        file = self.config.policy.prior
        if file is None:
            return None
        try:
            return Prior.from_bytes(Path(file).read_bytes(), d=self.encoder.d, fingerprint=self.encoder.fingerprint)
        except (OSError, SnapshotError) as error:
            raise ConfigError(f"policy.prior: {file}: {error}. `highwayman prior fit` writes one") from error

    def blank_state(self, arms: Sequence[str]) -> bytes:
        """Return the state of a policy with these arms that has learned nothing."""
        policy = self.policy()
        for name in arms:
            policy.add_arm(name)
        return policy.state()

    def learner(self) -> Learner:
        """Return a learner at the start of the log."""
        if self.contender:
            return self._scored_learner()
        return Learner(
            self.policy(), self.spec, fingerprint=self.encoder.fingerprint, arms=self.arm_names, make=self.policy
        )

    def _scored_learner(self) -> ScoredLearner:
        is_constant = self.contender == BEST_CONSTANT
        settings, challenger = self.config.tournament, self.config.tournament.challenger(self.contender)
        goes_on = challenger is None or challenger.cascade
        contender = (
            ConstantContender() if is_constant else PolicyContender(self._rules(), self._dial(), cascades=goes_on)
        )
        rivals = len(settings.challengers) + (settings.champion == TOLD)
        alpha = settings.alpha if is_constant else settings.alpha / max(rivals, 1)
        scoring = Scoring(contender, alpha, settings.window, settings.champion)
        return ScoredLearner(
            self.policy(), self.spec, fingerprint=self.encoder.fingerprint, arms=self.arm_names,
            scoring=scoring, make=None if is_constant else self.policy,
        )  # fmt: skip

    def _rules(self) -> ExplorationRules:
        policy = self.config.policy
        return ExplorationRules(policy.floor, floor_loss=policy.floor_loss)

    def _dial(self) -> PolicyDial | None:
        challenger = self.config.tournament.challenger(self.contender)
        objective = None if challenger is None else challenger.own_objective()
        return None if objective is None else PolicyDial(objective, self.arms)

    def _described(self) -> list[Any]:
        """Return what a score depends on beside the policy; another one is folded anew."""
        challenger, policy = self.config.tournament.challenger(self.contender), self.config.policy
        dial = None if challenger is None or challenger.objective is None else challenger.objective.model_dump()
        tournament = self.config.tournament
        champion = [tournament.champion] if tournament.champion == TOLD else []  # else it is named as ever
        alone = ["no cascade"] if challenger is not None and not challenger.cascade else []
        return [self.contender, policy.floor, policy.floor_loss, dial, tournament.window, *champion, *alone]

    def pending_feedback(self, client: "aioredis.Redis") -> PendingFeedback:
        """Return the feedback that waits for its decisions."""
        return PendingFeedback(client, self.config.namespace, self.store(client), keep_s=self.config.feedback.hold_s)

    def store(self, client: "aioredis.Redis") -> Store:
        """Return the log and its records."""
        return Store(client, self.config.namespace, window_s=self.config.limits.feedback_window_s)

    def retention(self, client: "aioredis.Redis") -> Retention:
        """Return what shortens the log."""
        return Retention(client, self.config.namespace, window_s=self.config.limits.feedback_window_s)

    def abuse_monitor(self, client: "aioredis.Redis") -> AbuseMonitor:
        """Return what watches for keys that flood or lie."""
        store, retention = self.store(client), self.retention(client)
        thresholds = self.config.feedback.alarm.thresholds()
        return AbuseMonitor(
            AnomalyDetector(thresholds) if thresholds is not None else None,
            Quarantine(store, retention),
            retention,
            KeyStore(client, self.config.namespace, store),
            spec=self.spec,
            clock=time.time,
        )

    def publications(self, client: "aioredis.Redis") -> Publications:
        """Return where the lineage is published."""
        return Publications(client, self.config.namespace, self.lineage)

    def version_history(self, client: "aioredis.Redis", *, lineage: str | None = None) -> VersionHistory:
        """Return the kept versions of the lineage, or of another."""
        return VersionHistory(client, self.config.namespace, lineage or self.lineage)

    def contender_worker(
        self, client: "aioredis.Redis", maintenance: Callable[[], Awaitable[None]] = no_maintenance
    ) -> Worker:
        """Return a worker that learns and scores a contender, and calls `maintenance` about every second."""
        dependencies = LearnerDependencies(
            self.store(client),
            self.publications(client),
            self.version_history(client),
            self.learner,
            keep_every_s=max(self.config.retention.version_every_s, _CONTENDER_KEPT_EVERY_S),
            publish_every_s=_CONTENDER_PUBLISHED_EVERY_S,
            tail=self.tail,
        )
        clocks = Clocks(time.time, time.monotonic)
        return Worker(dependencies, holder=_holder(), clocks=clocks, maintenance=maintenance)

    def referee(self, client: "aioredis.Redis") -> Referee:
        """Return what looks at the scores of all contenders."""
        publications = {factory.contender: factory.publications(client) for factory in self.contenders()}
        return Referee(self.store(client), publications, self.config.tournament.rules(), time.time)

    def contender_workers(self, client: "aioredis.Redis") -> list[Worker]:
        """Return the workers of all contenders; whoever holds the first one's lease calls the referee."""
        judges: list[Callable[[], Awaitable[None]]] = [self.referee(client)]
        return [
            factory.contender_worker(client, judges.pop() if judges else no_maintenance)
            for factory in self.contenders()
        ]

    def worker(self, client: "aioredis.Redis") -> Worker:
        """Return a worker that stands for the lease; `client` waits longer than its reads block."""
        store, config, monitor = self.store(client), self.config, self.abuse_monitor(client)
        limits = MaintenanceLimits(config.limits.outcome_s, config.retention.log_s, config.retention.export_first)
        return Worker(
            LearnerDependencies(
                store,
                self.publications(client),
                self.version_history(client),
                self.learner,
                keep_every_s=config.retention.version_every_s,
                false_alarm_every=config.policy.false_alarm_every,
                abuse_monitor=monitor,
                change_notice_delay_s=_THINK_S,
                tail=self.tail,
            ),
            holder=_holder(),
            clocks=Clocks(time.time, time.monotonic),
            maintenance=LogMaintenance(
                store,
                self.retention(client),
                limits,
                lineage=self.lineage,
                clock=time.time,
                pending=self.pending_feedback(client),
                abuse_monitor=monitor,
            ),
        )


def _holder() -> str:
    """Return a name for a lease that nobody else has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def warm_encoder(config: Config) -> Encoder:
    """Return the encoder that `config` names, warmed up. Raises EncoderError."""
    settings, images = config.encoder, config.images
    encoder = make_encoder(
        settings.engine,
        model=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        deadline_s=settings.deadline_s,
        tags=config.tag_columns(),
    )
    if images is not None:
        encoder.look_at(make_image_features(images.engine, image_size, **images.options()))
    encoder.encode_blocking(Query(text="warm up", prompt_chars=7))  # the first text costs more than the deadline allows
    return encoder
