"""Runs the commands of drumvae-live: play, demo, doctor, learn and the lists. Called by the main thread."""

import secrets
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from drumvae.inference.providers import PROVIDERS
from drumvae.music.kit import DEFAULT_KIT
from drumvae.music.kits import kit_rows
from drumvae.util.command import INTERRUPTED
from drumvae.util.errors import DrumVAEError, PortError, nearest
from drumvae.util.files import check_writable

from ..clock.follower import Follower
from ..clock.internal_clock import InternalClock
from ..clock.transport import Clock
from ..controls.mapping_file import default_map, read_map
from ..controls.midi_learn import learn, typed_lines
from ..diagnostics.listen import run_doctor
from ..generation.generator import LoopGenerator
from ..generation.modes import MODES, available_modes, check_mode, check_playable, check_supported, make_loop
from ..generation.supervisor import WorkerProcess
from ..generation.worker_main import ModelInfo, load_engine
from ..messages import PlayedLoop
from ..metrics.sync_report import check_report, write_report
from ..midi_io.backends import NO_DRIVER
from ..midi_io.port_pair import Ports, list_ports
from ..session.demo import DEMO_BARS, NullOutput, ScriptedInput, demo_mode, performance, write_demo
from ..session.loop_writer import LoopWriter
from ..session.performer import Performer, PerformerOptions
from ..session.run import LiveConfig, run_session
from ..ui.display import make_display, unmapped_title

FIRST_LOOP_S = 30.0
CLOCKS = ("midi", "internal")


class ModelHost(LoopGenerator, Protocol):
    """A loop generator that loads a model and can restart it."""

    restarts: int

    def ready(self) -> ModelInfo:
        """Waits until the model is loaded; raises the exception of its loading."""


def print_ports(backend: str) -> None:
    """Prints the MIDI ports of this machine."""
    ports = list_ports(backend)
    for title, names in (("inputs", ports.inputs), ("outputs", ports.outputs)):
        print(f"{ports.backend} {title}:")
        print("\n".join(f"  {name}" for name in names) or "  (none)")


def random_seed() -> int:
    """Returns a random seed of up to six digits, short enough to type again."""
    return secrets.randbelow(1_000_000)


def checked(kind: str, name: str, names: tuple[str, ...]) -> str:
    """Returns a name that is in a list; raises DrumVAEError with the nearest ones if it is not."""
    if name not in names:
        raise DrumVAEError(f"There is no {kind} {name!r}; {nearest(name, list(names))}")
    return name


def check_names(config: LiveConfig) -> None:
    """Raises DrumVAEError for an unknown mode or provider, before anything is loaded."""
    checked("mode", config.controls.mode, tuple(MODES))
    checked("provider", config.provider, PROVIDERS)


def start_model(config: LiveConfig) -> ModelHost:
    """Starts the process that loads and runs the model."""
    model = WorkerProcess(partial(load_engine, config.bundle, config.provider), make_loop)
    model.start()
    return model


def play(config: LiveConfig) -> None:
    """Plays a session until it is stopped; raises DrumVAEError for an option that cannot be met."""
    check_names(config)
    if config.report:
        check_report(config.report)
    with closing(start_model(config)) as model, closing(Ports(config.input_name, config.output_name, config.backend)) as ports:
        info = model.ready()  # it loads while the ports are opened
        check_playable(info)
        check_mode(config.controls.mode, info)
        check_supported(config.controls, info)
        writer = LoopWriter(config.record) if config.record else None
        try:
            _play_on(ports, model, info, writer, config)
        finally:
            if writer:
                writer.close()
    if writer:
        print(f"{writer.written} loops are in {writer.folder}.")


def _play_on(ports: Ports, model: ModelHost, info: ModelInfo, writer: LoopWriter | None, config: LiveConfig) -> None:
    options = PerformerOptions(
        seed=config.seed,
        controls=config.controls,
        modes=available_modes(info),
        styles=info.styles,
        input_kit=config.input_kit,
        control_map=config.control_map,
        sends_feedback=config.sends_feedback,
        bars=config.bars,
        offset_s=config.offset_s,
        on_loop_played=writer.add if writer else None,
    )
    performer = Performer(_clock(config), ports.input, ports.output, model, options)
    performer.prepare()
    model.wait_for_first(FIRST_LOOP_S)  # ready means ready
    if info.provider_reason:
        print(f"the model runs on {info.provider_reason}")
    print(f"ready: {config.controls.mode}, seed {config.seed}, {info.provider}, {ports.title}", flush=True)
    if ports.hint:
        print(ports.hint)
    hint = "send MIDI clock to the input and press play   " if config.internal_bpm is None else ""
    display = make_display(f"{ports.title}   seed {config.seed}", f"{hint}Ctrl-C stops")
    try:
        thread = run_session(performer, display, ports.watch, lambda: writer.error if writer else None)
    finally:
        display.close()
    _report(performer, ports, model, thread.real_time, config.report)


def _report(performer: Performer, ports: Ports, model: ModelHost, real_time: bool | None, path: Path | None) -> None:
    """Prints the figures of the run, and writes them for --report."""
    meter, status = performer.meter, performer.status
    meter.real_time, meter.port_losses, meter.worker_restarts = real_time, ports.loss_count, model.restarts
    if status.unmapped:
        print(unmapped_title(status))
    report = meter.report(time.perf_counter())
    print("\n".join(report.lines()))
    priority = "real-time" if real_time else "ordinary"
    print(f"stopped: {status.hits_played} hits played, {status.notes_received} notes received, {priority} priority")
    if path:
        write_report(path, report)


def diagnose(config: LiveConfig) -> None:
    """Diagnoses the messages of the DAW."""
    with closing(Ports(config.input_name, config.output_name, config.backend)) as ports:
        print(f"listening on {ports.title}", flush=True)
        run_doctor(ports, config.report, config.input_kit or DEFAULT_KIT)


def learn_controls(config: LiveConfig, path: Path) -> None:
    """Binds actions to knobs and pads, one after another, and writes them into a map."""
    with closing(Ports(config.input_name, config.output_name, config.backend)) as ports:
        print(f"listening on {ports.title}", flush=True)
        learn(lambda: [arrival.message for arrival in ports.input.poll(time.perf_counter())], print, typed_lines(), path)
    print(f"Play with it: drumvae-live --controls {path}")


def print_kits() -> None:
    """Prints the names of --kit with their notes."""
    for row in kit_rows():
        print(f"{row.kit.name:<12} {' '.join(f'{pitch:>3}' for pitch in row.kit.output_notes)}  {row.title}: {row.trap}")


def print_controls(path: Path | None) -> None:
    """Prints every action and its bindings."""
    print((read_map(path) if path else default_map()).listing())


def _clock(config: LiveConfig) -> Clock:
    return Follower() if config.internal_bpm is None else InternalClock(config.internal_bpm)


def demo(config: LiveConfig) -> None:
    """Plays eight bars without a DAW, a performance and its answer; writes demo.mid into the working folder."""
    check_names(config)
    ignored = {"--record": config.record, "--report": config.report, "--bars": config.bars, "--hold": config.controls.hold}
    if given := [name for name, value in ignored.items() if value]:
        print(f"The demo plays eight bars and writes demo.mid; {', '.join(given)} {'is' if len(given) == 1 else 'are'} ignored.")
    target = Path("demo.mid")
    check_writable(Path.cwd(), target.name, "change to a folder of your own")
    with closing(start_model(config)) as model:
        ports = _demo_ports(config)
        try:
            info = model.ready()
            check_playable(info)
            check_supported(config.controls, info)
            played = _demo_on(ports, model, info, config)
        finally:
            if ports:
                ports.close()
    if len(played) < 2:
        print("The demo was stopped before its answer; demo.mid was not written.")
        sys.exit(INTERRUPTED)
    print(write_demo(target, played, config.internal_bpm or 120.0))


def _demo_ports(config: LiveConfig) -> Ports | None:
    try:
        ports = Ports(config.input_name, config.output_name, config.backend)
    except PortError as error:
        print(f"The demo plays without a port, so there is no sound. {str(error).replace(f', or {NO_DRIVER}', '')}")
        return None
    print(f"The demo plays on {ports.output.title} ({ports.backend}); connect it to a drum instrument.")
    return ports


def _demo_on(ports: Ports | None, model: ModelHost, info: ModelInfo, config: LiveConfig) -> list[PlayedLoop]:
    opening, mode = performance(), demo_mode(info)
    if mode != "humanize":
        print("This bundle cannot humanize; the answer is a generated loop.")
    clock = InternalClock(config.internal_bpm or 120.0)
    played: list[PlayedLoop] = []
    options = PerformerOptions(
        seed=config.seed,
        controls=replace(config.controls, mode=mode, hold=False),
        modes=available_modes(info),
        styles=info.styles,
        drops_echoes=False,
        bars=DEMO_BARS,
        offset_s=config.offset_s,
        on_loop_played=played.append,
    )
    performer = Performer(clock, ScriptedInput(opening.grid, clock), ports.output if ports else NullOutput(), model, options)
    performer.player.queue_loop(opening)
    print(f"ready: demo, {DEMO_BARS} bars at {clock.timeline.bpm:g} bpm, seed {config.seed}, {info.provider}", flush=True)
    display = make_display(f"demo   seed {config.seed}", "Ctrl-C stops")
    try:
        run_session(performer, display, ports.watch if ports else list)
    finally:
        display.close()
    return played if performer.finished else []
