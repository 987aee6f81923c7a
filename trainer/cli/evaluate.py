"""The command `drumvae-evaluate` scores an exported model on a corpus, beside trivial baselines; it needs no PyTorch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from drumvae.bundle.format import CARD, default_bundle
from drumvae.inference.engine import Engine
from drumvae.util.command import require_extra, show_version
from drumvae.util.command import run as run_app
from drumvae.util.errors import BundleError, RunError
from drumvae.util.files import check_writable

from ..data.corpus import Corpus, CorpusOptions, load_corpus
from ..data.manifest import DRUMS, MELODY
from ..evaluation.bootstrap import GENERATION_RESAMPLES, LEVEL, RESAMPLES, SEED
from ..evaluation.evaluator import Evaluator, tasks_to_score
from ..evaluation.markdown import scores_to_json, scores_to_markdown
from ..evaluation.plots import can_plot, draw_plots
from ..evaluation.table import TaskScores
from ..evaluation.windows import Windows

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

JSON, MARKDOWN, PLOTS = "scores.json", "scores.md", "plots"
_HEADING = "## Scores"


@dataclass(frozen=True)
class Evaluation:
    """Holds the scores of one bundle on one split."""

    facts: dict[str, Any]
    """The bundle, the data and the settings."""
    scores: dict[str, TaskScores]
    """By task."""
    windows: Windows
    """The scored windows."""

    def to_json(self) -> dict[str, Any]:
        """Returns the facts and every metric with its interval as JSON values."""
        return self.facts | {"tasks": {task: scores_to_json(scores) for task, scores in self.scores.items()}}

    def to_markdown(self) -> str:
        """Returns the scores as tables."""
        return "\n".join([_opening(self.facts), *(scores_to_markdown(task, scores) for task, scores in self.scores.items())])


def evaluate(
    engine: Engine, corpus: Corpus, split: str, requested: Sequence[str] = (), limit: int | None = None, loops: int = 512
) -> Evaluation:
    """Scores a model on a split; its baselines are made from the training split.

    Args:
        engine: The model.
        corpus: The windows, cut to the model's length and encoding.
        split: "train", "validation" or "test".
        requested: The tasks to score; by default all tasks of the bundle.
        limit: The number of evenly spaced windows to score; by default all.
        loops: The number of loops to generate.

    Returns:
        The scores by task.

    Raises:
        BundleError: The bundle lacks a requested task.
        DataError: A split has no windows.
    """
    tasks = tasks_to_score(engine, requested)
    whole, train = split_windows(corpus, split), split_windows(corpus, "train")
    windows = whole if limit is None else whole.evenly_spaced(limit)
    evaluator = Evaluator(engine, windows, train, loops)
    info = engine.info
    facts = {
        "bundle": {name: getattr(info, name) for name in ("preset", "encoding", "steps", "latent_size", "tasks", "temperature", "version")},
        "data": corpus.source,
        "split": split,
        "windows": len(windows),
        "windows_in_split": len(whole),
        "takes": windows.take_count,
        "training_windows": len(train),
        "training_takes": train.take_count,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL, "over": "takes"},
    }
    return Evaluation(facts, {task: evaluator.score(task) for task in tasks}, windows)


def split_windows(corpus: Corpus, split: str) -> Windows:
    """Returns a split's windows; raises DataError if there are none. All melodies of a file count as one take, since they are one piece."""
    numbers = corpus.windows(split)
    files = [take.file or take.name for take in corpus.takes]
    _, first, file_of_take = np.unique(files, return_index=True, return_inverse=True)
    kept, takes = np.unique(file_of_take[corpus.take_indices[numbers]], return_inverse=True)
    styles = tuple(corpus.takes[first[file]].style for file in kept)
    return Windows(corpus.loops, numbers, np.asarray(corpus.window_bpm[numbers], np.float32), takes, styles)


def _opening(facts: dict[str, Any]) -> str:
    """Returns the sentences that explain all tables."""
    seen = " The model was trained on them, so this is no test." if facts["split"] == "train" else ""
    some = "" if facts["windows"] == facts["windows_in_split"] else f", evenly spaced among {facts['windows_in_split']}"
    bootstrap = facts["bootstrap"]
    return (
        f"{facts['bundle']['preset']} on {facts['data']}, split {facts['split']}: {facts['windows']} windows{some},"
        f" of {facts['takes']} takes.{seen} Baselines are made from {facts['training_windows']} training windows."
        f" In brackets: {bootstrap['level']:.0%} intervals from {bootstrap['resamples']} resamples of the takes (seed {bootstrap['seed']};"
        f" generation has {GENERATION_RESAMPLES}).\n"
    )


def write_evaluation(evaluation: Evaluation, engine: Engine, folder: Path) -> None:
    """Writes scores.json, scores.md and plots/*.png into a folder."""
    (folder / JSON).write_text(json.dumps(evaluation.to_json(), indent=1, allow_nan=False) + "\n", "utf-8")
    plots: Sequence[Path] = ()
    if can_plot():
        (folder / PLOTS).mkdir(exist_ok=True)
        plots = draw_plots(folder / PLOTS, engine, evaluation.windows, evaluation.scores)
    else:
        typer.echo("No plots were drawn: matplotlib is not installed; type: pip install 'drumvae[evaluate]'", err=True)
    images = "".join(f"\n![{path.stem.replace('_', ' ')}]({PLOTS}/{path.name})\n" for path in plots)
    (folder / MARKDOWN).write_text(f"# Scores\n\n{evaluation.to_markdown()}{images}", "utf-8")


def add_to_card(card: Path, tables: str) -> None:
    """Writes the scores at the end of a model card, in place of its former scores."""
    before = card.read_text("utf-8").split(_HEADING)[0].rstrip() if card.exists() else ""
    card.write_text(f"{before}\n\n{_HEADING}\n\n{tables}", "utf-8")


@app.command(epilog="Example: drumvae-evaluate bundles/mine --data my-grooves/ --out scores/mine")
def evaluate_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of MIDI files. Without it, the Groove MIDI Dataset is downloaded.", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    task: Annotated[
        list[str] | None, typer.Option(help="Score only this task; may be repeated.", show_default="all tasks of the bundle")
    ] = None,
    max_windows: Annotated[
        int | None, typer.Option(min=1, help="Score this many evenly spaced windows, for a quick look.", show_default="all")
    ] = None,
    loops: Annotated[int, typer.Option(min=2, help="Number of loops to generate.")] = 512,
    out: Annotated[
        Path | None, typer.Option(help=f"Write {JSON}, {MARKDOWN} and {PLOTS}/*.png into this folder.", show_default=False)
    ] = None,
    card: Annotated[bool, typer.Option("--card", help="Put the tables into the bundle's model card, in place of older ones.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)] = False,
) -> None:
    """Score an exported model beside trivial baselines, with 95 % intervals over takes.

    For every task of the bundle: hits, velocity and timing, as numbers, tables and plots.
    """
    require_extra("Scoring a model", "evaluate", "scipy", "sklearn")
    if out:
        check_writable(out, "The scores", "name another folder with --out")
    engine = Engine.load(bundle, "auto", threads=0)
    tasks_to_score(engine, task or ())  # before the data is read
    corpus = _corpus(engine, data)
    evaluation = evaluate(engine, corpus, split, task or (), max_windows, loops)
    typer.echo(evaluation.to_markdown())
    try:
        if out:
            write_evaluation(evaluation, engine, out)
        if card:
            add_to_card((bundle or default_bundle()) / CARD, evaluation.to_markdown())
    except OSError as error:
        raise RunError(f"The scores above could not be written ({error}); name another folder with --out.") from None


def _corpus(engine: Engine, data: Path | None) -> Corpus:
    """Loads the takes on which a bundle's encoding is scored."""
    from ..data.download import groove_zip

    kind = MELODY if engine.encoding == "melody" else DRUMS
    if data is None and kind == MELODY:
        raise BundleError("This bundle generates melodies, and the Groove MIDI Dataset has drums; name a folder of MIDI files with --data.")
    return load_corpus(data or groove_zip(), CorpusOptions(bars=engine.steps // 16, kind=kind))


def main() -> None:
    """Runs the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
