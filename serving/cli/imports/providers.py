"""Where providers of models are asked in OpenAI's words: facts of their public documentation, as of 2026."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that speaks OpenAI's chat completions."""

    endpoint: str | None = None  # its base URL; None: whoever runs the server knows
    key_env: str | None = None  # the environment variable that its key is usually in
    chat_path: str | None = None  # where it is not /v1/chat/completions


_OWN: Final = Provider()
PROVIDERS: Final[Mapping[str, Provider]] = {
    "openai": Provider("https://api.openai.com", "OPENAI_API_KEY"),
    "anthropic": Provider("https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "groq": Provider("https://api.groq.com/openai", "GROQ_API_KEY"),
    "mistral": Provider("https://api.mistral.ai", "MISTRAL_API_KEY"),
    "deepseek": Provider("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "together": Provider("https://api.together.xyz", "TOGETHER_API_KEY"),
    "fireworks": Provider("https://api.fireworks.ai/inference", "FIREWORKS_API_KEY"),
    "openrouter": Provider("https://openrouter.ai/api", "OPENROUTER_API_KEY"),
    "xai": Provider("https://api.x.ai", "XAI_API_KEY"),
    "hyperbolic": Provider("https://api.hyperbolic.xyz", "HYPERBOLIC_API_KEY"),
    "cerebras": Provider("https://api.cerebras.ai", "CEREBRAS_API_KEY"),
    "sambanova": Provider("https://api.sambanova.ai", "SAMBANOVA_API_KEY"),
    "nvidia_nim": Provider("https://integrate.api.nvidia.com", "NVIDIA_NIM_API_KEY"),
    "perplexity": Provider("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY", "/chat/completions"),
    "deepinfra": Provider("https://api.deepinfra.com", "DEEPINFRA_API_KEY", "/v1/openai/chat/completions"),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "/v1beta/openai/chat/completions"
    ),
    "ollama": Provider("http://localhost:11434"),
    "azure": Provider(None, "AZURE_API_KEY"),
    "vllm": _OWN,
    "sglang": _OWN,
    "tgi": _OWN,
    "own": _OWN,  # any server that speaks OpenAI's API
}


def place_of(provider: Provider, api_base: str | None) -> tuple[str, str | None] | None:
    """Return the base URL of a server and where it answers chats (None: /v1/chat/completions); None: nobody says where.

    Clients of OpenAI put `/chat/completions` behind the base URL that they are given. Of one without a path it is taken
    that `/v1` is meant, as all servers have it there.
    """
    if not api_base:
        return (provider.endpoint, provider.chat_path) if provider.endpoint else None
    parts = urlsplit(api_base)
    path = parts.path.rstrip("/")
    if path == "" or path.endswith("/v1"):
        return api_base.rstrip("/").removesuffix("/v1"), None
    return f"{parts.scheme}://{parts.netloc}", f"{path}/chat/completions"
