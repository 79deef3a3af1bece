"""Learn from RunRecords and advise on the next GPU.

>>> from recommender import confirm, recommend
>>> made = recommend("meta-llama/Llama-3.1-8B", "H100", source_gpu="A100")  # doctest: +SKIP
"""

# The modules of these names are imported before the functions take the names: whoever imports from
# a module later finds it, and does not put it in the function's place.
import recommender.confirmation.confirm
import recommender.recommendation.recommend  # noqa: F401
from recommender.api import confirm, recommend

__all__ = ["confirm", "recommend"]
