#!/usr/bin/env python3
"""Write down what the surrogate says of a campaign, before it is measured.

Usage: scripts/foretell.py STUDIES_DIR GPU OUTPUT [--max-gpus 8]

One line a model, engine and workload of the studies: the recommendation for the GPU with nothing
known, and the whole landscape behind it with 90 % intervals. Then one a study of replicas: what is
said of its configurations. Committed before the campaign runs, it cannot be bent to what came of
it. Deterministic.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from autotune.schema.loading import study_from_options
from autotune.study.planning import plan_anywhere
from recommender.features.placement import replicas_of
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.ledger import as_recommended, speeds


def queries(studies: Path, gpu: str, max_gpus: int) -> list[Query]:
    """Return what the studies ask, each question once, in their order."""
    found: list[Query] = []
    for path in sorted(studies.glob("*.yaml")):
        spec = study_from_options(path, {})
        for engine in spec.engines:
            found += [
                Query(
                    model=spec.model,
                    target_gpu=gpu,
                    engine=engine,
                    objective="replica",
                    max_gpus=max_gpus,
                    max_batch_size=max(spec.batch_sizes),
                    dtype=spec.dtype,
                    workload=workload,
                )
                for workload in spec.workloads
            ]
    return [query for i, query in enumerate(found) if query not in found[:i]]


def replicated(studies: Path, predictor: Predictor) -> list[dict[str, Any]]:
    """Return what is said of the studies that put replicas behind one server, JSON-ready."""
    found = []
    for path in sorted(studies.glob("*.yaml")):
        asked = [item.configuration for item in plan_anywhere(study_from_options(path, {}))]
        asked.sort(key=lambda configuration: configuration.batch_size)
        if replicas_of(asked[0]) == 1:
            continue
        answers = predictor.predict(asked)
        first = asked[0]
        found.append(
            {
                "mode": first.mode,
                "model": first.model,
                "engine": first.engine,
                "target_gpu": first.gpu,
                "input_len": first.input_len,
                "output_len": first.output_len,
                "n_gpus": first.n_gpus,
                "replicas": replicas_of(first),
                "landscape": [
                    {"batch_size": configuration.batch_size, **speeds(prediction)}
                    for configuration, prediction in zip(asked, answers, strict=True)
                ],
            }
        )
    return found


def main() -> None:
    """Write the file and say what each recommendation is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("studies", type=Path)
    parser.add_argument("gpu")
    parser.add_argument("output", type=Path)
    parser.add_argument("--max-gpus", type=int, default=8)
    parser.add_argument("--surrogate", type=Path, default=PRETRAINED, help="default: the shipped")
    options = parser.parse_args()
    predictor = Predictor.load(options.surrogate)
    rows_used = int(predictor.meta.summary.get("rows_used", 0))
    lines = []
    for query in queries(options.studies, options.gpu, options.max_gpus):
        made = recommend(query, predictor)
        row = {"rows_used": rows_used, "mode": query.workload.mode, **as_recommended(made)}
        lines.append(json.dumps(row))
        best, load = made.best, query.workload
        print(
            f"{query.model} {query.engine} {load.mode} {load.input_len}/{load.output_len}: "
            f"{best.n_gpus} x {made.target_gpu}, batch {best.batch_size}: "
            f"{best.output_throughput:.0f} tok/s ({best.low:.0f} to {best.high:.0f})"
        )
    for row in replicated(options.studies, predictor):
        lines.append(json.dumps({"rows_used": rows_used, **row}))
        speeds = ", ".join(
            f"{at['output_throughput']:.0f} at {at['batch_size']}" for at in row["landscape"]
        )
        print(f"{row['model']} as {row['replicas']} replicas on {row['n_gpus']} GPUs: {speeds}")
    options.output.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
