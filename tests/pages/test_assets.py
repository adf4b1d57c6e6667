"""The files that a browser is sent."""

import gzip
import hashlib
import json
from importlib.resources import files

from highwayman.pages.assets import Assets

ASSETS = Assets()


def test_what_is_vendored_is_what_npm_has_and_nothing_else() -> None:
    listed = json.loads(ASSETS.text("vendor.json"))
    told = {name: entry["sha256"] for package in listed for name, entry in package["files"].items()}
    folder = files("highwayman.pages") / "static" / "vendor"
    assert set(told) == {file.name for file in folder.iterdir()} - {"vendor.json"}
    for name, digest in told.items():
        asset = ASSETS.get(name)
        assert asset is not None
        assert hashlib.sha256(asset.content).hexdigest() == digest
    assert all(package["integrity"].startswith("sha512-") for package in listed)


def test_a_file_is_packed_whole_and_its_address_changes_with_it() -> None:
    asset = ASSETS.get("style.css")
    assert asset is not None
    assert gzip.decompress(asset.packed) == asset.content
    assert ASSETS.url("style.css", "/x") == f"/x/style.css?v={asset.version}"
    assert ASSETS.get("../style.css") is None
