"""Makes a tiny random Llama and a LoRA adapter for it: a second model to serve where none can be downloaded.

    python scripts/tiny_llama.py TOKENIZER_FOLDER FOLDER

writes FOLDER/model, with the tokenizer and chat template of TOKENIZER_FOLDER, and FOLDER/lora. What it says is noise,
the same on every machine; what it weighs is 13 MB. A FOLDER that is there is left as it is. Needs torch and
transformers.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

SEED = 7
HIDDEN = 128
LAYERS = 2
RANK = 8


def write_model(tokenizer_folder: str, folder: Path) -> None:
    """Write a Llama of random weights that reads with the tokenizer of `tokenizer_folder`."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_adapter(model_folder: Path, folder: Path) -> None:
    """Write a LoRA adapter for the queries and values of every layer, strong enough to change what is said."""
    generator = torch.Generator().manual_seed(SEED)
    shapes = {"q_proj": (HIDDEN, 2 * 64), "v_proj": (HIDDEN, 64)}
    tensors = {}
    for layer in range(LAYERS):
        for module, (width_in, width_out) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, width_in, generator=generator)
            tensors[f"{name}.lora_B.weight"] = torch.randn(width_out, RANK, generator=generator)
    folder.mkdir()
    save_file(tensors, str(folder / "adapter_model.safetensors"))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model_folder.name,
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(shapes),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))


def main(tokenizer_folder: str, target: str) -> None:
    """Make the model and its adapter in the folder `target`, which appears only when it is whole."""
    folder = Path(target)
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        whole = Path(unfinished) / "whole"
        write_model(tokenizer_folder, whole / "model")
        write_adapter(whole / "model", whole / "lora")
        os.replace(whole, folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
