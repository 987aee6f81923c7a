"""The command `drumvae-evaluate`: a bundle and a corpus in, scores beside trivial baselines out. Runs the exported graphs, not torch."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from drumvae.bundle import CARD, default_bundle
from drumvae.command import run as run_app
from drumvae.engine import Engine
from drumvae.errors import RunError
from drumvae.grid import Array
from drumvae.kit import VOICES
from drumvae.tensors import VOICE_COUNT, arrays_to_groove

from .baselines import feel_baselines, score_baselines
from .corpus import Corpus, CorpusOptions, load_corpus
from .metrics import score, voice_f1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

_BATCH = 256
_HEADING = "## Scores"


def evaluate(engine: Engine, corpus: Corpus, split: str) -> dict[str, Any]:
    """Returns scores on a split, free-running from the mean latent, with baselines fitted on the training split."""
    numbers = corpus.windows(split)
    true, train = (arrays_to_groove(*corpus.arrays(chosen)) for chosen in (numbers, corpus.windows("train")))
    bpm = np.asarray(corpus.window_bpm[numbers], np.float32)
    written = reconstruct(engine, true)
    result: dict[str, Any] = {
        "split": split,
        "windows": len(true),
        "takes": len(set(corpus.take_indices[numbers].tolist())),
        "reconstruction": {"model": asdict(score(written, true, bpm))}
        | {name: asdict(score(baseline(true), true, bpm)) for name, baseline in score_baselines(train).items()},
        "reconstruction_f1_by_voice": dict(zip(VOICES, voice_f1(written, true), strict=True)),
        "density": {"written": float((written[..., :VOICE_COUNT] > 0.5).mean()), "true": float(true[..., :VOICE_COUNT].mean())},
    }
    if "humanize" in engine.tasks:
        played = {"model": humanize(engine, true)} | {name: baseline(true) for name, baseline in feel_baselines(train).items()}
        result["humanize"] = {name: asdict(score(groove, true, bpm)) for name, groove in played.items()}
    return result


def reconstruct(engine: Engine, true: Array) -> Array:
    """Returns what the model writes, each hit that is likelier than its threshold, from the mean latents of groove tensors."""
    return np.concatenate([engine.decode(engine.encode(part)[0], np.full_like(part[..., :VOICE_COUNT], 0.5)) for part in _batches(true)])


def humanize(engine: Engine, true: Array) -> Array:
    """Returns what the model plays for the hits of groove tensors, which it reads without velocity and offset."""
    results = []
    for part in _batches(true):
        hits = part[..., :VOICE_COUNT]
        mean, _ = engine.encode(np.concatenate([hits, np.zeros_like(part[..., VOICE_COUNT:])], axis=-1))
        results.append(engine.decode(mean, np.full_like(hits, 0.5), 1.0, hits, np.ones_like(hits)))
    return np.concatenate(results)


def to_markdown(result: dict[str, Any]) -> str:
    """Returns the scores as tables."""
    lines = [f"{result['windows']} windows of {result['takes']} takes, split {result['split']}, free-running from the mean latent."]
    lines += ["", "| reconstruction | hit F1 | precision | recall | velocity error | timing error (ms) |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {s['f1']:.3f} | {s['precision']:.3f} | {s['recall']:.3f} | {s['velocity_error']:.3f} | {s['timing_error_ms']:.2f} |"
        for name, s in result["reconstruction"].items()
    ]
    voices = ", ".join(f"{name} {value:.2f}" for name, value in result["reconstruction_f1_by_voice"].items())
    density = "written {written:.3f}, true {true:.3f}".format(**result["density"])
    lines += ["", f"Hit F1 by voice: {voices}. Share of cells with a hit: {density}."]
    if "humanize" in result:
        lines += ["", "| humanize, hits given | velocity error | timing error (ms) |", "|---|---|---|"]
        lines += [f"| {name} | {s['velocity_error']:.3f} | {s['timing_error_ms']:.2f} |" for name, s in result["humanize"].items()]
    return "\n".join(lines) + "\n"


def add_to_card(card: Path, tables: str) -> None:
    """Writes the scores at the end of a model card, in place of those that it had."""
    before = card.read_text("utf-8").split(_HEADING)[0].rstrip() if card.exists() else ""
    card.write_text(f"{before}\n\n{_HEADING}\n\n{tables}", "utf-8")


def _batches(grooves: Array) -> Iterable[Array]:
    from rich.progress import track

    firsts = range(0, len(grooves), _BATCH)
    return (grooves[first : first + _BATCH] for first in track(firsts, "Playing windows", transient=True))


@app.command(epilog="Example: drumvae-evaluate bundles/mine --data my-grooves/")
def evaluate_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of MIDI files. Without it, the Groove MIDI Dataset is downloaded.", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    out: Annotated[Path | None, typer.Option(help="Write the scores here, as JSON.", show_default=False)] = None,
    card: Annotated[bool, typer.Option("--card", help="Put the tables into the bundle's own model card, in place of older ones.")] = False,
) -> None:
    """Score an exported model beside trivial baselines.

    Hit F1 of what it writes back, and velocity and timing errors on hits that match: once written freely from what it read, once
    with the hits given (humanize).
    """
    from .download import groove_zip

    engine = Engine.load(bundle, "auto", threads=0)
    corpus = load_corpus(data or groove_zip(), CorpusOptions(bars=engine.info.steps // 16))
    result = evaluate(engine, corpus, split)
    typer.echo(to_markdown(result))
    try:
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        if card:
            add_to_card((bundle or default_bundle()) / CARD, to_markdown(result))
    except OSError as error:
        raise RunError(f"The scores above could not be written ({error}); name another file with --out.") from None


def main() -> None:
    """Runs the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
