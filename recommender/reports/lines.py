"""What terminal views share: a bullet, a line to copy, how a plan is deployed."""

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recommender.recommendation.candidates import Candidate
from recommender.recommendation.plans import how_often


def bullet(text: str) -> Padding:
    """Return a sentence that hangs from a dash."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row("-", Text(text))
    return Padding(grid, 0)


def deploy_lines(candidate: Candidate, gpu: str) -> list[Text | Padding]:
    """Return the line to deploy by, how often it is started, and what was measured otherwise."""
    beneath = (how_often(candidate, gpu), candidate.measured_otherwise)
    return [
        command_line("Deploy: ", candidate.command, style="cyan"),
        *(Padding(Text(text, style="dim"), (0, 0, 0, 9)) for text in beneath if text),
    ]


def report_line(recommendation_id: str) -> Text:
    """Return the command that writes a recommendation's report."""
    return command_line("Report: ", f"autotune report {recommendation_id} --output report.html")


def command_line(label: str, line: str, style: str = "") -> Text:
    """Return a line to copy, which no break of ours cuts."""
    text = Text(f"{label} ", style="bold", no_wrap=True, overflow="ignore", end="\n")
    return text.append(Text(line, style=style or "not bold"))
