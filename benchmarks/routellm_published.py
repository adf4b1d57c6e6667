"""What RouteLLM's authors report for their routers, beside which ours are printed.

Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", arXiv 2406.18665v4 (2025), tables 1 (MT-bench), 2
(MMLU, 5-shot) and 3 (GSM8K, 8-shot); gpt-4-1106-preview is the strong arm, Mixtral-8x7B the weak one.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """One line of a table of the paper's."""

    training: str  # what the router was trained on
    router: str
    apgr: float
    cpt_50: float  # share of calls
    cpt_80: float


_ARENA, _JUDGE, _GOLD = "arena", "arena + GPT-4 judge", "arena + MMLU validation"

TABLES = {"mt_bench": 1, "mmlu": 2, "gsm8k": 3}

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "mt_bench": (
        Published("", "random", 0.500, 0.4903, 0.7808),
        Published(_ARENA, "BERT", 0.391, 0.7809, 0.8764),
        Published(_ARENA, "causal LLM", 0.573, 0.2882, 0.7753),
        Published(_ARENA, "matrix factorisation", 0.580, 0.2532, 0.7426),
        Published(_ARENA, "SW ranking", 0.610, 0.3785, 0.5899),
        Published(_JUDGE, "BERT", 0.751, 0.1958, 0.3402),
        Published(_JUDGE, "causal LLM", 0.679, 0.3150, 0.4875),
        Published(_JUDGE, "matrix factorisation", 0.802, 0.1340, 0.3131),
        Published(_JUDGE, "SW ranking", 0.759, 0.2321, 0.3604),
    ),
    "mmlu": (
        Published("", "random", 0.500, 0.5007, 0.7993),
        Published(_ARENA, "BERT", 0.502, 0.4943, 0.7780),
        Published(_ARENA, "causal LLM", 0.499, 0.4888, 0.7793),
        Published(_ARENA, "matrix factorisation", 0.524, 0.4500, 0.7686),
        Published(_ARENA, "SW ranking", 0.473, 0.5582, 0.8025),
        Published(_GOLD, "BERT", 0.572, 0.4130, 0.7220),
        Published(_GOLD, "causal LLM", 0.600, 0.3549, 0.7031),
        Published(_GOLD, "matrix factorisation", 0.597, 0.3546, 0.7140),
        Published(_GOLD, "SW ranking", 0.603, 0.3540, 0.7155),
    ),
    "gsm8k": (
        Published("", "random", 0.497, 0.5000, 0.8008),
        Published(_ARENA, "BERT", 0.438, 0.5878, 0.8384),
        Published(_ARENA, "causal LLM", 0.461, 0.5609, 0.8356),
        Published(_ARENA, "matrix factorisation", 0.4746, 0.5359, 0.8524),
        Published(_ARENA, "SW ranking", 0.4753, 0.5443, 0.8211),
        Published(_JUDGE, "BERT", 0.531, 0.4476, 0.7909),
        Published(_JUDGE, "causal LLM", 0.622, 0.3364, 0.6326),
        Published(_JUDGE, "matrix factorisation", 0.565, 0.3882, 0.7262),
        Published(_JUDGE, "SW ranking", 0.568, 0.4121, 0.7220),
    ),
}
