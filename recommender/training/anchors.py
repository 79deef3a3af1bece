"""Anchors: configurations whose prediction a refinement holds where it was.

They are spread over the catalogue's models and over GPUs of every generation.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord

N_ANCHORS: Final = 512
# Named, and not the whole catalogue: a sheet or a model more, be it the user's own, must not change
# what the same runs teach.
ANCHOR_GPUS: Final = (
    "V100-32GB", "V100-16GB", "V100-PCIe-32GB", "V100-PCIe-16GB", "T4", "A10", "A10G", "A30",
    "A40", "A100-40GB", "A100-80GB", "A100-40GB-PCIe", "A100-80GB-PCIe", "A800-80GB",
    "RTX-A6000", "RTX-3090", "L4", "L40", "L40S", "RTX-4090", "RTX-6000-Ada", "H100-80GB",
    "H100-PCIe", "H100-NVL", "H800", "H20", "H200", "H200-NVL", "GH200", "GH200-144GB", "B200",
    "GB200", "B300", "RTX-PRO-6000", "RTX-5090", "MI210", "MI250", "MI250X", "MI300X", "MI325X",
    "MI355X", "Max1550", "Gaudi2",
)  # fmt: skip
ANCHOR_MODELS: Final = (
    "huggyllama/llama-7b", "huggyllama/llama-13b", "huggyllama/llama-30b",
    "huggyllama/llama-65b", "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-13b-hf",
    "meta-llama/Llama-2-70b-hf", "codellama/CodeLlama-7b-hf", "codellama/CodeLlama-13b-hf",
    "codellama/CodeLlama-34b-hf", "codellama/CodeLlama-70b-hf", "meta-llama/Meta-Llama-3-8B",
    "meta-llama/Meta-Llama-3-70B", "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B",
    "meta-llama/Llama-3.1-405B", "nvidia/Llama-3.1-8B-Instruct-FP8",
    "nvidia/Llama-3.1-70B-Instruct-FP8", "nvidia/Llama-3.1-405B-Instruct-FP8",
    "meta-llama/Llama-3.1-405B-Instruct-FP8", "meta-llama/Llama-3.2-1B",
    "meta-llama/Llama-3.2-3B", "meta-llama/Llama-3.3-70B-Instruct",
    "nvidia/Llama-3.3-70B-Instruct-FP8", "nvidia/Llama-3.3-70B-Instruct-NVFP4",
    "meta-llama/Llama-4-Scout-17B-16E", "meta-llama/Llama-4-Maverick-17B-128E",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
    "nvidia/Llama-4-Scout-17B-16E-Instruct-FP8", "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-360M", "HuggingFaceTB/SmolLM2-1.7B",
    "HuggingFaceTB/SmolLM3-3B", "01-ai/Yi-1.5-6B", "01-ai/Yi-1.5-9B", "01-ai/Yi-1.5-34B",
    "BAAI/Aquila-7B", "Deci/DeciLM-7B", "WizardLM/WizardCoder-33B-V1.1",
    "deepseek-ai/deepseek-llm-7b-base", "deepseek-ai/deepseek-llm-67b-base",
    "deepseek-ai/deepseek-coder-1.3b-base", "deepseek-ai/deepseek-coder-6.7b-base",
    "deepseek-ai/deepseek-coder-33b-base", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "tiiuae/Falcon3-7B-Base",
    "tiiuae/Falcon3-10B-Base", "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.2", "mistralai/Mistral-7B-v0.3",
    "mistralai/Ministral-8B-Instruct-2410", "mistralai/Mistral-Nemo-Base-2407",
    "mistralai/Codestral-22B-v0.1", "mistralai/Mistral-Small-Instruct-2409",
    "mistralai/Mistral-Small-24B-Base-2501", "mistralai/Mistral-Large-Instruct-2407",
    "mistralai/Mixtral-8x7B-v0.1", "mistralai/Mixtral-8x22B-v0.1",
    "mistralai/Mixtral-8x22B-Instruct-v0.1", "Qwen/Qwen1.5-0.5B", "Qwen/Qwen1.5-1.8B",
    "Qwen/Qwen1.5-4B", "Qwen/Qwen1.5-7B", "Qwen/Qwen1.5-14B", "Qwen/Qwen1.5-32B",
    "Qwen/Qwen1.5-72B", "Qwen/Qwen1.5-110B", "Qwen/Qwen1.5-MoE-A2.7B", "Qwen/Qwen2-0.5B",
    "Qwen/Qwen2-1.5B", "Qwen/Qwen2-7B", "Qwen/Qwen2-72B", "Qwen/Qwen2-57B-A14B",
    "Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-1.5B", "Qwen/Qwen2.5-3B", "Qwen/Qwen2.5-7B",
    "Qwen/Qwen2.5-14B", "Qwen/Qwen2.5-32B", "Qwen/Qwen2.5-72B",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    "Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B", "Qwen/Qwen3-4B", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B-FP8",
    "Qwen/Qwen3-14B", "Qwen/Qwen3-14B-FP8", "Qwen/Qwen3-32B", "Qwen/Qwen3-32B-FP8",
    "nvidia/Qwen3-32B-NVFP4", "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-30B-A3B-FP8",
    "Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen/Qwen3-Coder-30B-A3B-Instruct",
    "Qwen/Qwen3-235B-A22B", "Qwen/Qwen3-235B-A22B-FP8", "Qwen/Qwen3-235B-A22B-Instruct-2507",
    "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "Qwen/Qwen3-Coder-480B-A35B-Instruct",
    "Qwen/Qwen3-Next-80B-A3B-Instruct", "Qwen/Qwen3.5-27B", "Qwen/Qwen3.5-35B-A3B",
    "Qwen/Qwen3.5-122B-A10B", "Qwen/Qwen3.5-397B-A17B", "google/gemma-2b", "google/gemma-7b",
    "google/codegemma-2b", "google/codegemma-7b", "google/gemma-2-2b", "google/gemma-2-9b",
    "google/gemma-2-27b", "google/gemma-3-1b-it", "google/gemma-3-4b-it",
    "google/gemma-3-12b-it", "google/gemma-3-27b-it", "microsoft/phi-1", "microsoft/phi-1_5",
    "microsoft/phi-2", "microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3-mini-128k-instruct",
    "microsoft/Phi-3-medium-4k-instruct", "microsoft/Phi-3-medium-128k-instruct",
    "microsoft/Phi-3-small-8k-instruct", "microsoft/Phi-3.5-MoE-instruct", "microsoft/phi-4",
    "microsoft/Phi-4-mini-instruct", "tiiuae/falcon-7b", "tiiuae/falcon-40b",
    "tiiuae/falcon-180B", "bigcode/starcoderbase-1b", "bigcode/starcoderbase-3b",
    "bigcode/starcoderbase-7b", "bigcode/starcoder", "WizardLM/WizardCoder-15B-V1.0",
    "bigcode/starcoder2-3b", "bigcode/starcoder2-7b", "bigcode/starcoder2-15b",
    "bigscience/bloom-560m", "bigscience/bloom-1b1", "bigscience/bloom-1b7",
    "bigscience/bloom-3b", "bigscience/bloom-7b1", "bigscience/bloom",
    "EleutherAI/gpt-neox-20b", "EleutherAI/pythia-70m", "EleutherAI/pythia-160m",
    "EleutherAI/pythia-410m", "EleutherAI/pythia-1b", "EleutherAI/pythia-1.4b",
    "EleutherAI/pythia-2.8b", "EleutherAI/pythia-6.9b", "EleutherAI/pythia-12b",
    "EleutherAI/gpt-j-6b", "openai-community/gpt2", "openai-community/gpt2-xl",
    "facebook/opt-125m", "facebook/opt-1.3b", "facebook/opt-2.7b", "facebook/opt-6.7b",
    "facebook/opt-13b", "facebook/opt-30b", "facebook/opt-66b", "mosaicml/mpt-7b",
    "mosaicml/mpt-30b", "deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V2",
    "deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1", "nvidia/DeepSeek-R1-NVFP4",
    "nvidia/DeepSeek-V3.1-NVFP4", "moonshotai/Kimi-K2-Instruct", "moonshotai/Kimi-K2.5",
    "zai-org/GLM-5", "zai-org/GLM-4.5", "zai-org/GLM-4.5-Air", "zai-org/glm-4-9b-hf",
    "zai-org/GLM-4-9B-0414", "zai-org/GLM-4-32B-0414", "MiniMaxAI/MiniMax-M2.5",
    "openai/gpt-oss-20b", "openai/gpt-oss-120b", "google/flan-t5-base", "google/flan-t5-large",
    "google/flan-t5-xl", "google/flan-t5-xxl", "google/flan-ul2", "bigscience/mt0-xxl",
    "allenai/OLMo-2-0425-1B", "allenai/OLMo-2-1124-7B", "allenai/OLMo-2-1124-13B",
    "allenai/OLMo-2-0325-32B", "allenai/OLMoE-1B-7B-0924",
    "ibm-granite/granite-3.1-8b-instruct", "ibm-granite/granite-3.1-2b-instruct",
    "CohereForAI/c4ai-command-r-v01", "CohereForAI/c4ai-command-r-plus",
    "stabilityai/stablelm-3b-4e1t", "stabilityai/stablelm-2-1_6b",
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nvidia/NVIDIA-Nemotron-Nano-12B-v2",
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
)  # fmt: skip
_ENGINES: Final = ("vllm", "hf")


def anchors_for(
    own: Sequence[RunRecord], before: Sequence[RunRecord], seed: int
) -> list[Configuration]:
    """Return what to keep as it was said of: much of the catalogue, and some of the rows before."""
    drawn = np.random.default_rng(seed).permutation(len(before))[:N_ANCHORS]
    return [*anchor_configurations(seed, own), *(before[i] for i in sorted(drawn.tolist()))]


def anchor_configurations(seed: int, own: Sequence[RunRecord]) -> list[Configuration]:
    """Return configurations drawn over models, GPUs, engines, GPU counts and batch sizes.

    They carry the engine versions of the user's own runs, or the trees would tell the two apart by
    that alone.
    """
    rng = np.random.default_rng(seed)
    versions = {
        engine: sorted({r.engine_version for r in own if r.engine == engine and r.engine_version})
        for engine in _ENGINES
    }
    models, gpus = ANCHOR_MODELS, ANCHOR_GPUS
    return [
        Configuration(
            engine=engine,
            engine_version=versions[engine][rng.integers(len(versions[engine]))]
            if versions[engine]
            else None,
            model=models[rng.integers(len(models))],
            gpu=gpus[rng.integers(len(gpus))],
            n_gpus=int(2 ** rng.integers(4)),
            batch_size=int(2 ** rng.integers(11)),
            input_len=int(2 ** rng.integers(5, 12)),
            output_len=int(2 ** rng.integers(3, 10)),
        )
        for engine in (_ENGINES[rng.integers(2)] for _ in range(N_ANCHORS))
    ]
