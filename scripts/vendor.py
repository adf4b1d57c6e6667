"""Fetches the browser's libraries from npm's registry as pages/static/vendor/vendor.json names them: `make vendor`.

npm checks each package against its integrity; the files are checked by pages' test on every run after. To take another
version, change it in vendor.json, empty its integrity and hashes, and run this again: both are filled in anew.
"""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "pages" / "static" / "vendor"


def main() -> None:
    """Fetch every package and write its files and their hashes. Raises SystemExit where a hash is another."""
    listed = FOLDER / "vendor.json"
    packages: list[dict[str, Any]] = json.loads(listed.read_text(encoding="utf-8"))
    for package in packages:
        _fetch(package)
    listed.write_text(json.dumps(packages, indent=2) + "\n", encoding="utf-8")


def _fetch(package: dict[str, Any]) -> None:
    spec = f"{package['name']}@{package['version']}"
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(  # noqa: S603
            [_npm(), "pack", "--silent", spec], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        data = (Path(folder) / packed).read_bytes()
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
    if package.setdefault("integrity", integrity) not in ("", integrity):
        raise SystemExit(f"{spec}: its integrity is {integrity}, and vendor.json says {package['integrity']}")
    package["integrity"] = integrity
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name, entry in package["files"].items():
            member = archive.extractfile(f"package/{entry['from']}")
            if member is None:
                raise SystemExit(f"{spec} has no file {entry['from']}")
            content = member.read()
            (FOLDER / name).write_bytes(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()
    print(f"{spec}: {', '.join(package['files'])}")


def _npm() -> str:
    command = shutil.which("npm")
    if command is None:
        raise SystemExit("npm is not installed: it comes with Node.js, and is needed to fetch libraries anew only.")
    return command


if __name__ == "__main__":
    main()
