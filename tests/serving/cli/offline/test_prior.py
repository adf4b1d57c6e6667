from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from highwayman.bandit.regression.prior import Prior
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.errors import ConfigError
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import Config, PolicyConfig
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.sims.logs.logged_file import write_log
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_file import write_table
from tests.sims.ope.estimators.logs import log_of


def fit(*words: object) -> Result:
    return CliRunner().invoke(main, ["prior", "fit", *map(str, words)])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    prompts = tuple(f"What is {n} plus {n}?" for n in range(20))
    quality = np.column_stack([np.full(20, 0.9), np.full(20, 0.2)])
    path = tmp_path / "table.parquet"
    write_table(path, FullTable.from_arrays(("big", "small"), quality, prompts=prompts))
    return path


def learning(prior: Path | None, name: str = "HierTS") -> LearnerFactory:
    config = Config(policy=PolicyConfig(name=name, prior=None if prior is None else str(prior)))
    return LearnerFactory(config, (), make_encoder("static"))


def test_a_prior_fitted_on_a_table_is_where_the_router_begins(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "prior.hwym"
    done = fit("--data", table, "--arm", "large=big", "--arm", "tiny=small", "--weight", 15, "--out", out)
    assert done.exit_code == 0, done.output
    assert "large 15; tiny 15" in done.output.replace("\n", " ")
    with_it, without = learning(out), learning(None)
    policy = with_it.policy()
    context = with_it.encoder.encode_many([])  # no prompt is needed to make the encoder
    assert context == []
    expected = Prior.from_bytes(out.read_bytes(), d=with_it.encoder.d, fingerprint=with_it.encoder.fingerprint)
    assert policy.posterior.arms == expected.sums.arms == ("large", "tiny")  # type: ignore[attr-defined]
    assert policy.posterior.total_weight() == pytest.approx(30.0)  # type: ignore[attr-defined]
    assert with_it.lineage != without.lineage


def test_a_log_is_fitted_by_what_its_rewards_count(tmp_path: Path) -> None:
    rewards, weights = np.tile([1.0, 0.0], 10), np.tile([0.75, 0.25], 10)
    write_log(tmp_path / "log.parquet", [log_of([0] * 20, [1.0] * 20, rewards.tolist(), weights=weights)])
    out = tmp_path / "prior.hwym"
    done = fit("--log", tmp_path / "log.parquet", "--out", out)
    assert done.exit_code == 0, done.output
    sums = Prior.from_bytes(out.read_bytes(), d=1, fingerprint="f").sums
    assert sums.sums[:, 0].tolist() == pytest.approx([10.0, 0.0])
    assert sums.b[0, 0] == pytest.approx(7.5)


def test_what_cannot_be_is_told_plainly_and_nothing_is_written(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "prior.hwym"
    for words, says in (
        ((), "give either --data TABLE or --log"),
        (("--data", table, "--arm", "large"), "give ARM=MODEL"),
        (("--data", table, "--arm", "large=huge"), "there is no model 'huge'; there are big, small"),
    ):
        done = fit(*words, "--out", out)
        assert done.exit_code == 1
        assert says in done.output
        assert not out.exists()


def test_a_prior_that_cannot_be_read_or_a_policy_that_takes_none_is_a_config_error(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "prior.hwym"
    with pytest.raises(ConfigError, match="`highwayman prior fit` writes one"):
        learning(out).policy()
    assert fit("--data", table, "--out", out).exit_code == 0
    with pytest.raises(ConfigError, match="takes no prior"):
        learning(out, "Uniform").policy()
