"""Blocks on the reference ledger, and on what was confirmed on the GPU itself."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from research.accuracy.results import Figures, Results
from research.accuracy.wording import (
    ENGINES,
    listed,
    number,
    paragraph,
    percent,
    table,
)


def aims(results: Results) -> str:
    """The ledger's summary."""
    rows = [
        [aim["name"], aim_value(aim), aim["target"], "yes" if aim["is_met"] else "no"]
        for aim in results.figures("ledger")["aims"]
    ]
    return table(["over the landscapes", "found", "aim", "met"], rows)


def aim_value(aim: Figures) -> str:
    """Return what was found, as the tables write it."""
    value = aim["value"]
    return number(value) if aim["name"].startswith("times") else percent(value)


def aim_of(results: Results, name: str) -> Figures:
    """Return one line of the ledger's summary."""
    found: Figures = next(a for a in results.figures("ledger")["aims"] if a["name"] == name)
    return found


def missed(results: Results) -> str:
    """Why aims of the ledger are missed."""
    all_aims = results.figures("ledger")["aims"]
    unmet = {aim["name"].partition(" (")[0] for aim in all_aims if not aim["is_met"]}
    bullets = []
    if any(name.startswith("coverage") for name in unmet):
        bullets.append(_coverage(results))
    if any(name.startswith("times") for name in unmet):
        bullets.append(_minutes(results.figures("ledger")))
    rest = sorted(name for name in unmet if not name.startswith(("coverage", "times")))
    bullets += [paragraph(f"*{name[0].upper()}{name[1:]}.*", indent="-") for name in rest]
    return "\n".join(["What is missed:", "", *bullets]) if bullets else "Nothing is missed."


def _coverage(results: Results) -> str:
    before = aim_of(results, "coverage before (mean)")["value"]
    after = results.figures("ledger")["coverage_after"]
    how = listed([f"{percent(after[engine])} with {name}" for engine, name in ENGINES.items()])
    return paragraph(
        f"*Intervals are too {'wide' if before > 0.9 else 'narrow'}.* Before any run they allow "
        "for a harness (who measures, with which tool and settings) that nobody has seen. All of "
        f"this is one harness's, near the published ones. After three runs they cover {how}, whose "
        "passes scatter more.",
        indent="-",
    )


def _minutes(ledger: Figures) -> str:
    small, large, early = ledger["grids"]["small"], ledger["grids"]["large"], ledger["stopping"]
    fewer = large["times_fewer"]
    held = "on all" if early["held"] == 1 else f"on {percent(early['held'])}"
    return paragraph(
        f"*The GPU-minutes.* {small['n']} of the {ledger['landscapes']} grids are small ("
        f"{small['least']} to {small['most']} configurations), and one start saves no more than as "
        f"many starts take. In the {large['n']} others three runs take {number(fewer['vllm'])} "
        f"times less with vLLM (median), {number(fewer['hf'])} times with Hugging Face, whose "
        f"starts are short. With `--stop-regret {early['stop_regret']:g}` and the other models' "
        f"runs known, {number(early['runs'])} runs do in the mean: the regret is "
        f"{percent(early['regret'])}, the certificate holds {held}, and all landscapes together "
        f"take {number(early['times_fewer'])} times fewer GPU-minutes, the median one "
        f"{number(early['median_times_fewer'])} times.",
        indent="-",
    )


def related(results: Results) -> str:
    """The same with the other models' runs known."""
    alone = {aim["name"]: aim["value"] for aim in results.figures("ledger")["aims"]}
    known = results.figures("ledger")["related"]
    names = {
        "error before any run (median)": "error before (median)",
        "error after three (median)": "error after 3 runs (median)",
        "regret, 0 runs (mean)": "regret, 0 runs (mean)",
        "regret, 3 runs (mean)": "regret, 3 runs (mean)",
        "bound held": "90 % regret bound held (mean)",
        "coverage before": "coverage before (mean)",
        "coverage after three": "coverage after 3 runs (mean)",
    }
    rows = [[text, percent(alone[name]), percent(known[name])] for text, name in names.items()]
    return table(["", "nothing known", "other models' runs known"], rows)


def left_out(results: Results) -> str:
    """A model never seen."""
    found = results.figures("ledger")["left_out"]
    taught = "`autotune train` learned from the others' runs, which are known"
    rows = [
        [text, percent(found[how]["H200"]), percent(found[how]["H100-80GB"])]
        for how, text in (
            ("taught", taught),
            ("anew", "fitted anew to everything, nothing known"),
        )
    ]
    return table(["known", "H200 (aim 8 %)", "H100 (aim 8 %)"], rows)


def confirmed(results: Results) -> str:
    """What was proved on the GPU itself."""
    figures = results.figures("confirmed")
    entries, totals = figures["entries"], figures["totals"]
    engines = Counter(entry["engine"] for entry in entries)
    how = listed([f"{engines[e]} with {name}" for e, name in ENGINES.items() if engines[e]])
    errors = [abs(entry["error"]) for entry in entries if entry["error"] is not None]
    inside = sum(bool(entry["is_inside"]) for entry in entries)
    won = len(entries) - len(figures["overtaken"])
    bullets = [
        paragraph(
            f"The recommended configuration came out within {percent(max(errors))} of what was "
            f"predicted, {percent(totals['ape_median'])} in the median, inside the interval in "
            f"{inside} of {len(entries)} cases. It gives up at most "
            f"{percent(max(entry['regret'] for entry in entries))} of the best of its landscape, "
            f"{percent(totals['regret_mean'])} in the mean, by all runs of both.",
            indent="-",
        ),
        paragraph(
            f"It won {won} times.", *(_overtaken(item) for item in figures["overtaken"]), indent="-"
        ),
    ]
    head = paragraph(
        f"{len(entries)} recommendations for an H200 were proved there right after they were made: "
        f"{how}, three runs each ([each of them](../mlruns/reference/ledger/confirmed.md); the "
        "[reference runs](../mlruns/reference/README.md) say how to see that for oneself)."
    )
    return "\n".join([head, "", *bullets])


def _overtaken(item: Mapping[str, Any]) -> str:
    name = item["model"].rpartition("/")[2]
    excess = "more" if item["winner_regret"] > item["regret_bound90"] else "no more"
    return (
        f"With {name} on {ENGINES[item['engine']]} a batch of {item['winner']} won by "
        f"{percent(item['lead'], 0)} over the recommended {item['recommended']}, whose "
        f"{item['passes']} passes scattered by {percent(item['scatter'], 0)}. The landscape, "
        f"measured next, says that it costs {percent(item['winner_regret'])}, {excess} than the "
        f"certificate's bound of {percent(item['regret_bound90'])}."
    )
