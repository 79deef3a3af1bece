"""The command line: each command parses, calls one function, and echoes the result.

Results go to standard output, progress and remarks to standard error. Exit codes: 0 done, 1 failed,
2 usage, 130 interrupted.
"""

import click

from autotune.cli import advise, inspect, learn, measure, recommend
from autotune.cli.terminal import AutotuneGroup
from autotune.version import __version__


@click.group(
    cls=AutotuneGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="autotune")
def main() -> None:
    """Find the batch size and GPU count to serve an LLM with, and prove it.

    \b
    Start here:
      autotune doctor
      autotune demo
      autotune recommend --model meta-llama/Llama-3.1-8B --target-gpu H100

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """


for _command in (
    measure.run,
    measure.import_,
    measure.sync,
    learn.train,
    learn.evaluate,
    advise.predict,
    recommend.recommend,
    advise.explain,
    advise.confirm,
    inspect.doctor,
    inspect.gpus,
    inspect.models,
    inspect.ui,
    measure.demo,
    measure.export,
    advise.report,
):
    main.add_command(_command)
