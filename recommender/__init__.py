"""Learn from RunRecords and advise on the next GPU.

>>> from recommender import confirm, recommend
>>> made = recommend("meta-llama/Llama-3.1-8B", "H100", source_gpu="A100")  # doctest: +SKIP
"""

from recommender.api import confirm, recommend

__all__ = ["confirm", "recommend"]
