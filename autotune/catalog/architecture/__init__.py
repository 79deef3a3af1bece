"""From a Hugging Face config.json to a model's dimensions, parameters and profile."""
