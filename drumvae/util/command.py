"""Runs a Typer app and reports its errors to the user, for every command of drumvae."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from .. import __version__
from .errors import DrumVAEError, RunError

if TYPE_CHECKING:
    import typer

BAD_INPUT = 2
INTERRUPTED = 130


def run(app: "typer.Typer") -> NoReturn:
    """Runs a command line and exits: status 2 and one sentence on stderr for a DrumVAEError or a bad option; a bug keeps its traceback."""
    try:
        status = app(standalone_mode=False)
    except DrumVAEError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        # Typer has its own Click or uses the installed one, by version; the usage errors of both have this method.
        sentence = getattr(error, "format_message", None)
        if sentence is None:
            if type(error).__name__ == "Abort":
                sys.exit(INTERRUPTED)
            raise
        if not sentence():  # a command without arguments has printed its help
            sys.exit(BAD_INPUT)
        _fail(f"{sentence().rstrip('.')}. Type {_command()} --help for every option.")
    sys.exit(status if isinstance(status, int) else 0)


def show_version(requested: bool) -> None:
    """Prints the version and exits; the callback of every --version."""
    if requested:
        import typer

        print(f"drumvae {__version__}")
        raise typer.Exit


def require_extra(what: str, extra: str, *modules: str) -> None:
    """Raises RunError, with the pip command to type, if a module of an optional extra is not installed; imports none of them.

    Args:
        what: The activity that needs the modules, as the first words of the sentence ("Training").
        extra: The extra of drumvae that installs them ("train").
        *modules: Names as an import statement spells them ("torch").
    """
    for name in modules:
        if sys.modules.get(name, name) is None or find_spec(name) is None:
            raise RunError(f"{what} needs {name}, which is not installed; type: pip install 'drumvae[{extra}]'")


def _fail(sentence: str) -> NoReturn:
    print(f"{_command()}: {sentence}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def _command() -> str:
    name = sys.argv[0].replace("\\", "/")
    if name.endswith("/__main__.py"):
        return f"python -m drumvae.{name.split('/')[-2]}"
    return name.rsplit("/", 1)[-1].removesuffix(".exe")
