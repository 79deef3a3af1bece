"""Blocks on the paper's gain, and how much of it ours brings."""

from research.accuracy.published_blocks import direction
from research.accuracy.results import Figures, Results
from research.accuracy.wording import listed, number, paragraph, table


def gain_tables(results: Results) -> str:
    """Whether the paper's own tables came out."""
    found = results.figures("paper")
    same = all(
        abs(d["found"] - d["published"]) < 0.001 and abs(d["found_all"] - d["published_all"]) < 0.01
        for d in found["directions"]
    )
    differing = found["cells_differing"]
    match = f"all {found['cells']:,} cells of its RQ2 tables match"
    if differing:
        match = f"{differing:,} of the {found['cells']:,} cells of its RQ2 tables differ"
    rq4 = "and so does RQ4, the gain" if same and not differing else "RQ4, the gain, "
    return paragraph(
        "`scripts/reproduce_paper.py FOLDER` recomputes it out of MLflow (`--with-recommender` "
        f"adds the last columns): {match}, {rq4}{'' if same else 'differs'} (mean over models, 5 "
        "new tokens). InfPop is the paper's own search. Ours is scored without the rows that we "
        "mark as defective; a failed choice counts -100 %:"
    )


def gain(results: Results) -> str:
    """The paper's gain, and ours."""
    header = ["", "paper and ours, all rows", "without suspect rows", "ours, 0 runs", "3 runs"]
    header += ["5 runs", "InfPop, 100 evaluations, all rows"]
    rows = []
    for item in results.figures("paper")["directions"]:
        published = f"{item['published']:.3f} %"
        if item["published_all"] != item["published"]:
            published += f" ({item['published_all']:.2f} % with gemma-7b)"
        ours = [_points(item["gain"][runs]) for runs in ("0", "3", "5")]
        attainable = f"{item['attainable']:.2f} %"
        rows.append([_name(item), published, attainable, *ours, _points(item["infpop"])])
    return table(header, rows)


def gain_said(results: Results) -> str:
    """What the gain amounts to, and which models are worse off."""
    found = results.figures("paper")["directions"]
    worse = [f"{_short(model)} ({_name(d)})" for d in found for model in d["rest"]["worse_after_3"]]
    others = "No other model is" if any(d["failing"] for d in found) else "No model is"
    after = (
        f"After three runs these are worse off than with the configuration they kept: "
        f"{listed(worse)}."
        if worse
        else f"{others} worse off after three runs than with the configuration it kept."
    )
    shares = [f"{_name(d)}: {_part(d['rest'])}" for d in found]
    return paragraph(
        *(_failing(d) for d in found if d["failing"]),
        after,
        "Five confirmatory runs, which always include the kept configuration, bring of what is to "
        f"be had{' (without such models)' if any(d['failing'] for d in found) else ''}: "
        f"{'; '.join(shares)}.",
    )


def _failing(item: Figures) -> str:
    models = listed([_short(model) for model in item["failing"]])
    rest = listed([number(item["rest"]["gain"][runs]) for runs in ("0", "3", "5")])
    return (
        f"{_name(item)}: all five of our runs of {models} failed (-100 %); without it the line is "
        f"{rest} %."
    )


def _part(rest: Figures) -> str:
    return f"{number(100 * rest['gain']['5'] / rest['attainable'], 0)} %"


def _name(item: Figures) -> str:
    return direction(item["engine"], item["origin"], item["target"])


def _short(model: str) -> str:
    return model.rpartition("/")[2]


def _points(value: float) -> str:
    return f"{number(value)} %"
