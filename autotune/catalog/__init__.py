"""What is known beforehand: GPUs, models, the memory they need, the formats they run."""
