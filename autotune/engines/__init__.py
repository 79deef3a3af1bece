"""The engines. Their modules import vllm, torch and transformers and live in the worker only."""
