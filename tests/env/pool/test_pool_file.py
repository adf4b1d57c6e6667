import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import LaunchSpec, load_pool
from highwayman.env.pool.schema import ArmEntry, LaunchEntry, ProfileEntry, json_schema
from highwayman.env.types import Arm, ArmState, Profile, Quirks

PRICED = "usd_per_mtok_in: 0.05, usd_per_mtok_out: 0.08"
GOOD = f"{{endpoint: 'http://h:1', model: m, {PRICED}, context_window_tokens: 100}}"


def write(folder: Path, text: str) -> Path:
    path = folder / "pool.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    """Return the lines of the error, without the folder the file lies in."""
    with pytest.raises(ConfigError) as caught:
        load_pool(write(folder, text))
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_every_key_of_the_file_reaches_the_arm(tmp_path: Path) -> None:
    pool = load_pool(
        write(
            tmp_path,
            """
arms:
  llama-8b:
    endpoints: [http://10.0.0.1:8000, http://10.0.0.2:8000]
    model: meta-llama/Llama-3.1-8B-Instruct
    usd_per_mtok_in: 0.05
    usd_per_mtok_out: 1
    usd_per_mtok_cached_in: 0.01
    context_window_tokens: 131072
    modalities: [text, image]
    tools: true
    tags: {zone: eu}
    wh_per_mtok: 12.5
    power_url: http://10.0.0.1:9400/metrics
    state: probation
    profile: {system: Be brief., few_shot: [{user: 1+1, assistant: "2"}], temperature: 0, max_tokens: 64, best_of: 1,
      reasoning_effort: low, body: {thinking: {budget_tokens: 9}}}
    api_key_env: UPSTREAM_KEY
    headers: {X-Title: "team ${TEAM}"}
    quirks: {rename: {max_tokens: limit}, leave_out: [top_k], chat_path: "/v2/chat?v=1"}
""",
        )
    )
    assert pool.arms == (
        Arm(
            name="llama-8b",
            endpoints=("http://10.0.0.1:8000", "http://10.0.0.2:8000"),
            model="meta-llama/Llama-3.1-8B-Instruct",
            usd_per_mtok_in=0.05,
            usd_per_mtok_out=1.0,
            context_window_tokens=131072,
            modalities=frozenset({"text", "image"}),
            tools=True,
            tags={"zone": "eu"},
            wh_per_mtok=12.5,
            power_url="http://10.0.0.1:9400/metrics",
            state=ArmState.PROBATION,
            profile=Profile("Be brief.", (("1+1", "2"),), 0.0, 64, 1, "low", {"thinking": {"budget_tokens": 9}}),
            api_key_env="UPSTREAM_KEY",
            headers={"x-title": "team ${TEAM}"},
            quirks=Quirks({"max_tokens": "limit"}, frozenset({"top_k"}), "/v2/chat?v=1"),
            usd_per_mtok_cached_in=0.01,
        ),
    )
    assert pool.launches == {}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["tools: true", ""], [True, False]),  # as it always was: who says it of some denies it of the others
        (["", ""], [None, None]),
        (["tools: false", ""], [False, None]),
        (["tools: unknown", ""], [None, None]),
        (["tools: true", "tools: unknown"], [True, None]),
    ],
)
def test_whether_an_arm_calls_tools_is_said_or_not_known(
    tmp_path: Path, said: list[str], meant: list[bool | None]
) -> None:
    entries = [GOOD.replace(PRICED, ", ".join(filter(None, [PRICED, tools]))) for tools in said]
    pool = load_pool(write(tmp_path, f"arms: {{a: {entries[0]}, b: {entries[1]}}}"))
    assert [arm.tools for arm in pool.arms] == meant


def test_arms_keep_the_order_of_the_file(tmp_path: Path) -> None:
    pool = load_pool(write(tmp_path, f"arms: {{z: {GOOD}, a: {GOOD}, m: {GOOD}}}"))
    assert [arm.name for arm in pool.arms] == ["z", "a", "m"]


def test_an_unknown_price_is_routed_without_cost(tmp_path: Path) -> None:
    arm = load_pool(write(tmp_path, f"arms: {{a: {GOOD.replace(PRICED, 'price: unknown')}}}")).arms[0]
    assert not arm.has_price


def test_a_misspelt_key_is_answered_with_the_right_one_and_no_second_complaint(tmp_path: Path) -> None:
    text = f"arms:\n  llama-70b: {GOOD.replace('usd_per_mtok_in', 'usd_per_mtok_input')}"
    assert problems(tmp_path, text) == [
        "pool.yaml:2: arm 'llama-70b': unknown key 'usd_per_mtok_input' (did you mean 'usd_per_mtok_in'?)"
    ]


def test_an_arm_without_a_price_is_told_both_ways_out(tmp_path: Path) -> None:
    text = "arms:\n  llama-8b:\n    endpoint: http://h:1\n    model: m\n    context_window_tokens: 9\n"
    assert problems(tmp_path, text) == [
        "pool.yaml:2: arm 'llama-8b': no price. Give usd_per_mtok_in and usd_per_mtok_out, "
        "or `price: unknown` to route it without cost."
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("usd_per_mtok_in: 0.05, ", ""), "usd_per_mtok_out without usd_per_mtok_in"),
        ((PRICED, f"{PRICED}, headers: {{host: a}}"), "host is the router's own to send"),
        ((PRICED, f"{PRICED}, quirks: {{leave_out: [stream]}}"), "'stream' is the request itself"),
        ((PRICED, f"{PRICED}, quirks: {{chat_path: chat}}"), "must begin with a slash"),
        ((PRICED, f"{PRICED}, quirks: {{renames: {{}}}}"), "did you mean 'rename'?"),
        ((PRICED, f"{PRICED}, profile: {{body: {{max_tokens: 3}}}}"), "'max_tokens' has a key of its own"),
        ((PRICED, f"{PRICED}, profile: {{body: {{since: 2026-01-01}}}}"), "must be what JSON can say"),
        ((PRICED, f"{PRICED}, price: unknown"), "both `price` and usd_per_mtok_in and usd_per_mtok_out"),
        ((PRICED, f"{PRICED}, tools: maybe"), "tools must be true, false or unknown, got 'maybe'"),
        ((PRICED, f"{PRICED}, tools: 1"), "tools must be true, false or unknown, got 1"),
        ((PRICED, "price: free"), "price must be 'unknown', got 'free'"),
        (("0.05", ".nan"), "usd_per_mtok_in must be a finite number, got nan"),
        (("0.05", "-.inf"), "usd_per_mtok_in must be"),
        (("0.05", "-1"), "usd_per_mtok_in must be greater than or equal to 0, got -1"),
        (("0.05", "'0.05'"), "usd_per_mtok_in must be a number, got '0.05'"),
        (("0.05", "true"), "usd_per_mtok_in must be a number, got True"),
        (("tokens: 100", "tokens: 0"), "context_window_tokens must be greater than or equal to 1, got 0"),
        (("tokens: 100", "tokens: 1.5"), "context_window_tokens must be a whole number, got 1.5"),
        ((", context_window_tokens: 100", ""), "no context_window_tokens"),
        (("endpoint: 'http://h:1', ", ""), "no endpoint"),
        (("model: m, ", ""), "no model. Give the model's id"),
        (("model: m", "model: ''"), "model must not be empty"),
        (
            ("endpoint: 'http://h:1'", "endpoint: 'http://h:1', endpoints: ['http://i:1']"),
            "both endpoint and endpoints",
        ),
        (("model: m", "model: m, tags: {zone: no}"), "tags.zone must be text (in quotes"),
        (
            ("model: m", "model: m, modalities: [smell]"),
            "modalities[0] must be 'text', 'image', 'audio', 'video' or 'file'",
        ),
        (("model: m", "model: m, modalities: []"), "modalities must not be empty"),
        (("model: m", "model: m, state: asleep"), "state must be 'active', 'probation' or 'draining'"),
        (("model: m", "model: m, profile: {few_shot: [{user: a}]}"), "no profile.few_shot[0].assistant"),
        (("model: m", "model: m, profile: {best_of: 3, temperature: 0}"), "samples one answer 3 times"),
        (("model: m", "model: m, profile: {max_tokens: 100}"), "profile.max_tokens 100 leaves no room"),
        (("model: m", "model: m, profile: {systm: x}"), "unknown key 'profile.systm' (did you mean 'system'?)"),
        (("model: m", "model: m, launch: {model: m, port: 70000}"), "launch.port must be less than or equal to 65535"),
        (("model: m", "model: m, launch: {model: m, port: 1, args: [--port=2]}"), "--port is set from `port`"),
        (("model: m", "model: m, launch: {model: m, port: 1, args: [true]}"), "launch.args[0] must be text"),
    ],
)
def test_what_is_wrong_with_an_arm_is_said_once_and_plainly(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    (line,) = problems(tmp_path, f"arms:\n  a: {GOOD.replace(*change)}")
    assert line.startswith("pool.yaml:2: arm 'a': ")
    assert said in line


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h:1/", "http://h:1"),
        ("http://h:1/v1", "http://h:1"),
        ("http://h:1/v1/", "http://h:1"),
        ("https://gateway/openai/v1", "https://gateway/openai"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_endpoint_is_kept_without_v1(tmp_path: Path, url: str, base: str) -> None:
    assert load_pool(write(tmp_path, f"arms: {{a: {GOOD.replace('http://h:1', url)}}}")).arms[0].endpoints == (base,)


@pytest.mark.parametrize(
    "url", ["h:1", "ftp://h", "http://", "http://h:port", "http://h/?a=b", "http://h h", "http://[::"]
)
def test_what_is_no_base_url_is_refused(tmp_path: Path, url: str) -> None:
    (line,) = problems(tmp_path, f"arms: {{a: {GOOD.replace('http://h:1', url)}}}")
    assert "arm 'a': endpoint " in line


@pytest.mark.parametrize(
    "change", [("http://h:1", "http://u:hunter2@h:1"), ("model: m", "model: m, api_key_env: sk-hunter2")]
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path, change: tuple[str, str]) -> None:
    (line,) = problems(tmp_path, f"arms: {{a: {GOOD.replace(*change)}}}")
    assert "environment" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("name", ["auto", "auto-cheap", "auto-quality"])
def test_an_alias_cannot_name_an_arm(tmp_path: Path, name: str) -> None:
    (line,) = problems(tmp_path, f"arms: {{{name}: {GOOD}}}")
    assert line == f"pool.yaml:1: arm '{name}': '{name}' is an alias callers route by; give the arm another name"


@pytest.mark.parametrize("name", ["'a b'", "''", "é", "'a\\r'", "8", "true", "-a", "x" * 129])
def test_a_name_that_cannot_stand_in_a_header_is_refused(tmp_path: Path, name: str) -> None:
    (line,) = problems(tmp_path, f"arms:\n  ? {name}\n  : {GOOD}")
    assert "name" in line


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = f"""
arms:
  one: {GOOD.replace("0.05", ".nan")}
  two: {GOOD.replace("model", "modle")}
  auto: {GOOD}
colour: red
"""
    assert problems(tmp_path, text) == [
        "pool.yaml:3: arm 'one': usd_per_mtok_in must be a finite number, got nan",
        "pool.yaml:4: arm 'two': unknown key 'modle' (did you mean 'model'?)",
        "pool.yaml:5: arm 'auto': 'auto' is an alias callers route by; give the arm another name",
        "pool.yaml:6: unknown key 'colour'. Known here: arms, by_name",
    ]


def test_a_key_given_twice_is_refused_where_yaml_would_keep_the_last(tmp_path: Path) -> None:
    assert problems(tmp_path, f"arms:\n  a: {GOOD}\n  b: {GOOD}\n  a: {GOOD}") == [
        "pool.yaml:4: key 'a' is given twice, first on line 2. Keep one of them."
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "pool.yaml:1: no arms. "),
        ("arms: {}", "pool.yaml:1: arms must not be empty"),
        ("arms: [a]", "pool.yaml:1: arms must be a mapping"),
        ("arms:\n  a: 3", "pool.yaml:2: arm 'a': must be a mapping"),
        ("- a", "pool.yaml:1: must be a mapping"),
        ("arms: {", "pool.yaml:1: not valid YAML: "),
        ("arms: !!python/name:os.system", "pool.yaml:1: not valid YAML: "),
        ("arms: 2024-13-45", "pool.yaml: not valid YAML: "),
        ("arms: \x00", "pool.yaml: not valid YAML: "),
        ("[" * 5000, "pool.yaml: not valid YAML: "),
        ("arms: &a {b: *a}", "pool.yaml:1: arm 'b': "),
    ],
)
def test_what_is_no_pool_at_all_is_refused_with_a_message(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text)[0].startswith(said)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_pool(tmp_path / "pool.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_pool(tmp_path)
    (tmp_path / "pool.yaml").write_bytes(b"arms: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        load_pool(tmp_path / "pool.yaml")


LAUNCHED = """
arms:
  tiny:
    model: tiny
    price: unknown
    launch: &server
      model: ./models/tiny
      port: 8001
      max_model_len: 2048
      args: [--tensor-parallel-size, 2]
      env: {OMP_NUM_THREADS: 1}
  tiny-lora:
    model: adapter
    price: unknown
    launch: {<<: *server, lora: {adapter: ./models/adapter}}
"""


def test_a_launched_arm_takes_its_endpoint_and_window_from_its_launch_entry(tmp_path: Path) -> None:
    pool = load_pool(write(tmp_path, LAUNCHED))
    assert [(arm.endpoints, arm.context_window_tokens) for arm in pool.arms] == [(("http://127.0.0.1:8001",), 2048)] * 2
    assert pool.launches["tiny-lora"] == LaunchSpec(
        model=str(tmp_path / "models/tiny"),
        port=8001,
        max_model_len=2048,
        lora={"adapter": str(tmp_path / "models/adapter")},
        args=("--tensor-parallel-size", "2"),
        env={"OMP_NUM_THREADS": "1"},
    )


def test_arms_of_one_port_that_disagree_about_their_server_are_refused(tmp_path: Path) -> None:
    text = LAUNCHED.replace("{<<: *server, lora", "{<<: *server, model: other, lora")
    assert problems(tmp_path, text) == [
        "pool.yaml:15: arm 'tiny-lora': launch.model differs from that of arm 'tiny' on the same port 8001. "
        "One server has one; use another port."
    ]


def test_one_adapter_name_for_two_adapters_of_a_server_is_refused(tmp_path: Path) -> None:
    third = "  third: {model: adapter, price: unknown, launch: {<<: *server, lora: {adapter: elsewhere}}}\n"
    (line,) = problems(tmp_path, LAUNCHED + third)
    assert "launch.lora 'adapter' is another adapter elsewhere on port 8001" in line


def test_the_schema_knows_every_key_of_an_arm() -> None:
    schema = json_schema()
    assert set(schema["$defs"]["ArmEntry"]["properties"]) == set(ArmEntry.model_fields)
    assert schema["$defs"]["ArmEntry"]["additionalProperties"] is False


KEYS = st.sampled_from([*ArmEntry.model_fields, *LaunchEntry.model_fields, *ProfileEntry.model_fields, "user"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
VALUES = st.recursive(
    SCALARS | st.just("http://h:1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.just("a") | SCALARS, st.dictionaries(KEYS | st.text(), VALUES, max_size=8) | VALUES))
def test_whatever_a_file_says_is_followed_or_refused_with_its_lines(arms: dict[object, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.yaml"
        path.write_text(yaml.dump({"arms": arms}), encoding="utf-8")
        told = f"{path}:"
        try:
            load_pool(path)
        except ConfigError as error:
            told = str(error)
        assert told.startswith(f"{path}:")


def test_models_asked_by_name_stand_beside_the_arms(tmp_path: Path) -> None:
    entry = "{serves: [embeddings], endpoints: ['http://h:2/v1', 'http://h:3'], model: e, api_key_env: KEY}"
    pool = load_pool(write(tmp_path, f"arms: {{a: {GOOD}}}\nby_name: {{e: {entry}}}"))
    (named,) = pool.named
    assert (named.arm.name, named.arm.endpoints, named.arm.api_key_env) == ("e", ("http://h:2", "http://h:3"), "KEY")
    assert named.serves == {"embeddings"}
    assert [arm.name for arm in pool.arms] == ["a"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("e: {serves: [chat], endpoint: 'http://h:1', model: e}", "by_name 'e': serves[0] must be 'embeddings'"),
        ("e: {serves: [speech], model: e}", "by_name 'e': give its server's base URL"),
        ("e: {serves: [speech], endpoint: 'http://h:1', model: e, wait: 1}", "by_name 'e': unknown key 'wait'"),
        ("a: {serves: [speech], endpoint: 'http://h:1', model: e}", "'a' is an arm's name and one under by_name"),
    ],
)
def test_what_is_wrong_with_a_model_asked_by_name_is_told(tmp_path: Path, entry: str, said: str) -> None:
    (line,) = problems(tmp_path, f"arms: {{a: {GOOD}}}\nby_name: {{{entry}}}")
    assert said in line
