import json
from pathlib import Path

import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.completions.requests.batch_file import read_batch


def batch(folder: Path, *lines: str) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_every_kind_of_line_becomes_a_request(tmp_path: Path) -> None:
    body = {"model": "m", "prompt": "One two", "max_tokens": 5}
    lines = read_batch(
        batch(
            tmp_path,
            '"How much is 1 + 1?"',
            "",
            json.dumps({"prompt": "How much is 1 + 2?", "max_tokens": 7}),
            json.dumps({"custom_id": "mine", "messages": [{"role": "user", "content": "How much?"}]}),
            json.dumps({"custom_id": "c", "method": "POST", "url": "/v1/completions", "body": body}),
        )
    )
    assert [line.custom_id for line in lines] == ["request-1", "request-3", "mine", "c"]
    assert [line.request.query.text for line in lines] == [
        "How much is 1 + 1?", "How much is 1 + 2?", "How much?", "One two",
    ]  # fmt: skip
    assert [line.url.rpartition("/v1/")[2] for line in lines] == ["chat/completions"] * 3 + ["completions"]
    assert [line.request.query.max_tokens for line in lines] == [None, 7, None, 5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: The body is not valid JSON"),
        ("[]", "line 2: The body must be a JSON object"),
        ("{}", "line 2: must have a prompt, messages, or a body"),
        ('{"body": []}', "line 2: body: must be an object"),
        ('{"url": "/v1/embeddings", "body": {"input": "a"}}', "line 2: url: must be one of /v1/chat/completions, /v1"),
        ('{"url": [], "body": {}}', "line 2: url: must be one of"),
        ('{"messages": []}', "line 2: messages: "),
        ('{"custom_id": 7, "prompt": "a"}', "line 2: custom_id: must be a string"),
        ('{"custom_id": "request-1", "prompt": "a"}', "line 2: custom_id 'request-1' stands in line 1, too"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"prompts.jsonl: {message}"):
        read_batch(batch(tmp_path, '"a"', line))


def test_a_file_without_a_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no prompt"):
        read_batch(batch(tmp_path, ""))
