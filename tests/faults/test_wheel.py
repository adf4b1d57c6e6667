"""The image without an engine: the Dockerfile's files, installed by its last step, do the main job."""

import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]


def built(folder: Path) -> Path:
    """Return the `highwayman` that the Dockerfile's steps install; what the lock brings is that of these tests."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).split("\nFROM ")[1]
    source, home = folder / "src", folder / "home"
    source.mkdir()
    for words in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *paths, target = words.split()
        for path in paths:
            place = source / (path if target == "./" else target)
            if (ROOT / path).is_dir():
                shutil.copytree(
                    ROOT / path, place, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
                )
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, place)
    venv.create(home, with_pip=True)
    (site,) = home.glob("lib/python*/site-packages")
    for older in site.glob("setuptools*"):  # what Python 3.11 brings; the lock has a newer one
        shutil.rmtree(older)
    (site / "lock.pth").write_text(sysconfig.get_paths()["purelib"])
    step = re.findall(r"^RUN (.*)$", text, re.MULTILINE)[-1].replace("/opt/highwayman", str(home))
    subprocess.run(step.split(), cwd=source, check=True, capture_output=True, env=environment())
    return home / "bin" / "highwayman"


def data_files() -> list[Path]:
    """Return what lies in the rooms beside Python, relative to the package."""
    package = ROOT / "src" / "highwayman"
    rooms = [room for room in package.iterdir() if room.is_dir() and room.name != "__pycache__"]
    paths = [path for room in rooms for path in room.resolve().rglob("*") if path.is_file()]
    return [path.relative_to(ROOT) for path in paths if path.suffix not in (".py", ".pyc")]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def said_by_its_client(program: Path, port: int, answer_id: str) -> list[str]:
    """Return what the installed `highwayman.client` comes to: the state of a thumb, and the arm of the decision."""
    script = f"""
from highwayman.client import Client
client = Client(base_url="http://127.0.0.1:{port}")
print(client.thumbs_up({answer_id!r}).state, client.decision({answer_id!r}).arm)
"""
    python = str(program.parent / "python")
    done = subprocess.run([python, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.timeout(240)
def test_the_dockerfiles_files_and_last_step_make_a_highwayman_that_answers(tmp_path: Path) -> None:
    program, port, away = built(tmp_path), free_port(), tmp_path / "away"
    away.mkdir()
    words = [str(program), "up", "--port", str(port), "--state-dir", str(tmp_path / "state")]
    with subprocess.Popen(words, cwd=away, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("Stop with Ctrl-C" in line for line in process.stdout), "it comes up"
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/chat/completions",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=60) as response:
                answer = json.load(response)
            assert answer["choices"][0]["message"]["content"]
            assert said_by_its_client(program, port, answer["id"]) == ["logged", answer["model"]]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    demo = [str(program), "demo", "--help"]
    told = subprocess.run(demo, cwd=away, env=environment(), capture_output=True, text=True, check=True)
    assert "Send prompts and thumbs" in told.stdout, "it can be seen to learn, too"
    found = subprocess.run(
        [str(program.parent / "python"), "-c", "import highwayman; print(highwayman.__file__)"],
        cwd=away, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    package = Path(found.stdout.strip()).parent
    assert package.is_relative_to(program.parents[1]), "and it is the one that was installed"
    left_out = [path for path in data_files() if not (package / path).is_file()]
    assert left_out == [], "what is read at run time is in the wheel (package-data in pyproject.toml)"
