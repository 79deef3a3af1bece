"""vLLM, in its process and behind its server."""
