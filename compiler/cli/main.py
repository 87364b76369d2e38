"""The group of commands, and what happens to errors."""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from pathlib import Path

import click

from mho.cli.build import compile_command, demo_command
from mho.cli.export import export_command
from mho.cli.faults import faults_command
from mho.cli.inspect import check_command, report_command, show_command
from mho.cli.machines import ops_command, targets_group
from mho.cli.simulate import run_command, validate_command
from mho.cli.sweep import sweep_command
from mho.targets.errors import MhoError, OptionError

EXIT_INPUT, EXIT_USAGE, EXIT_THRESHOLD, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130


class InOrder(click.Group):
    """Lists the commands in the order in which a user meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mho", prog_name="mho")
@click.option("-v", "--verbose", is_flag=True, help="Log the time that each pass takes on standard error.")
def mho(verbose: bool) -> None:
    """Compile neural networks to machines of analog tiles, and see how close the results are.

    \b
    mho demo                                     the whole way with a bundled network
    mho compile m.onnx -t hermes64 -o m.mho      ONNX in, tile program out
    mho report m.mho -o m.html                   where every tile went
    mho validate m.mho --model m.onnx --data test.npz --runs 5
    """
    if verbose:
        log = logging.getLogger("mho")
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)


for command in (
    demo_command,
    compile_command,
    report_command,
    validate_command,
    run_command,
    sweep_command,
    export_command,
    show_command,
    check_command,
    targets_group,
    faults_command,
    ops_command,
):
    mho.add_command(command)


def main() -> None:
    """Runs the command line and leaves with the exit code that says how it went.

    0 done · 1 the input is at fault · 2 usage · 3 a threshold was missed · 70 a bug in mho · 130 interrupted.
    """
    try:
        code = mho.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("mho: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except OptionError as error:
        _tell(error)
        sys.exit(EXIT_USAGE)
    except MhoError as error:
        _tell(error)
        sys.exit(EXIT_INPUT)
    except MemoryError:
        _tell(MhoError("there is not enough memory for this: use smaller inputs, fewer samples, or a larger machine"))
        sys.exit(EXIT_INPUT)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        _tell(MhoError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"))
        sys.exit(EXIT_INPUT)
    except Exception:  # noqa: BLE001 - the last resort: a bug becomes a report instead of a screen of traceback
        sys.exit(_report_bug())


def _tell(error: MhoError) -> None:
    for problem in error.problems:
        click.echo(f"mho: {problem}", err=True)


def _report_bug() -> int:
    with tempfile.NamedTemporaryFile("w", prefix="mho-bug-", suffix=".txt", delete=False, encoding="utf-8") as dump:
        dump.write(f"arguments: {sys.argv[1:]}\n\n{traceback.format_exc()}")
    click.echo(
        f"mho: this is a bug in mho. Please report it with the file {Path(dump.name)}, the command line and, "
        "if you can share it, the model.",
        err=True,
    )
    return EXIT_BUG
