"""From measured runs to a confirmed answer in Python; each cell can be run on its own.

Usage: scripts/examples/plan_a_move.py [FOLDER]

Measures a small model on this machine, asks what it would do on an H100, asks for this machine too,
proves that answer by the recorded runs, and writes the report. Everything goes into FOLDER
(``plan-a-move`` by default).
"""

# %% Where everything goes
import sys
from pathlib import Path

import autotune
import recommender
from autotune.engines.demo_model import build_demo_model
from recommender.commands.report import report

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "plan-a-move").resolve()
store = f"sqlite:///{folder}/mlruns/mlflow.db"
model = str(build_demo_model(folder / "demo-model"))
lengths = {"input_len": 32, "output_len": 16}

# %% Measure: the result shows itself in a notebook, with its landscape
study = autotune.run(
    model=model,
    engines="hf",
    batch_sizes="1:8",
    time_budget=1,
    exhaustive=True,
    tracking_uri=store,
    **lengths,
)
print(study)

# %% Ask for another GPU
on_h100 = recommender.recommend(model, "H100", max_gpus=2, tracking_uri=store, **lengths)
print(on_h100)
print(on_h100.explanation)
for candidate in on_h100.candidates:
    print(candidate.batch_size, candidate.n_gpus, round(candidate.output_throughput))

# %% Ask for this machine, and prove it by what was recorded
here = recommender.recommend(
    model, study.records[0].gpu, engine="hf", max_gpus=1, tracking_uri=store, **lengths
)
proof = recommender.confirm(here, replay=study.records, runs=2, tracking_uri=store)
print(proof)
assert proof.winner is not None
print(proof.winner.command)

# %% Write it down, to attach to a ticket
page = report(here.recommendation_id, store, folder / "report.html")
print(page.files[0])
