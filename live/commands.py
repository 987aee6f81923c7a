"""A LiveConfig in, a session or a demo out: what the command line does once its options are read. Called by the main thread."""

import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from drumvae.command import INTERRUPTED
from drumvae.engine import Engine
from drumvae.errors import DrumVAEError, PortError, nearest
from drumvae.files import check_writable
from drumvae.runtime import PROVIDERS

from .backends import NO_DRIVER
from .clock import Clock, Follower, InternalClock
from .demo import DEMO_BARS, Script, Silence, demo_mode, performance, write_demo
from .display import make_display, unheard_title
from .generator import Generator
from .modes import MODES, Mode, Verbs, check_playable, make_loop, mode_named
from .performer import Performer
from .player import Player
from .ports import Ports, list_ports
from .record import LoopWriter
from .session import LiveConfig, run_session
from .values import Played

FIRST_LOOP_S = 30.0
CLOCKS = ("midi", "internal")
Load = Callable[[Path | None, str], Verbs]


def print_ports(backend: str) -> None:
    """Prints the ports of this machine."""
    ports = list_ports(backend)
    for title, names in (("inputs", ports.inputs), ("outputs", ports.outputs)):
        print(f"{ports.backend} {title}:")
        print("\n".join(f"  {name}" for name in names) or "  (none)")


def drawn_seed() -> int:
    """Draws a seed that is short enough to be typed again."""
    return secrets.randbelow(1_000_000)


def checked(kind: str, name: str, known: tuple[str, ...]) -> str:
    """Returns a name that is known; raises DrumVAEError with the nearest ones where it is not."""
    if name not in known:
        raise DrumVAEError(f"There is no {kind} {name!r}; {nearest(name, list(known))}")
    return name


def check_names(config: LiveConfig) -> None:
    """Refuses a mistyped mode or provider before anything is loaded; raises DrumVAEError."""
    checked("mode", config.mode, tuple(MODES))
    checked("provider", config.provider, PROVIDERS)


def play(config: LiveConfig, load: Load | None = None) -> None:
    """Plays a session until it is stopped; raises DrumVAEError where something asked for cannot be had."""
    check_names(config)
    with ThreadPoolExecutor(1, "load") as pool:  # a model and a MIDI system take half a second each to open: both at once
        loading = pool.submit(load or Engine.load, config.bundle, config.provider)
        ports = Ports(config.input_name, config.output_name, config.backend)
    try:
        engine = loading.result()
        check_playable(engine)
        mode = mode_named(config.mode, engine)
        writer = LoopWriter(config.record) if config.record else None
        try:
            _play_on(ports, engine, mode, writer, config)
        finally:
            if writer:
                writer.close()
    finally:
        ports.close()
    if writer:
        print(f"{writer.written} loops are in {writer.folder}.")


def _play_on(ports: Ports, engine: Verbs, mode: Mode, writer: LoopWriter | None, config: LiveConfig) -> None:
    performer = Performer(
        clock=_clock(config),
        source=ports.input,
        sink=ports.output,
        generator=Generator(lambda job: make_loop(engine, mode, job)),
        mode=mode,
        seed=config.seed,
        controls=config.controls,
        hold=config.hold,
        bars=config.bars,
        offset_s=config.offset_s,
        on_played=writer.add if writer else None,
    )
    performer.prepare()
    performer.generator.start()
    performer.generator.await_first(FIRST_LOOP_S)  # ready means ready
    print(f"ready: {config.mode}, seed {config.seed}, {engine.provider}, {ports.title}", flush=True)
    hint = "send MIDI clock to the input and press play   " if config.internal_bpm is None else ""
    display = make_display(f"{ports.title}   {config.mode}   seed {config.seed}", f"{hint}Ctrl-C stops")
    try:
        thread = run_session(performer, display, ports.watch, lambda: writer.trouble if writer else None)
    finally:
        display.close()
    status, priority = performer.status, "real-time" if thread.real_time else "ordinary"
    if status.unheard:
        print(unheard_title(status))
    print(f"stopped: {status.struck} hits played, {status.notes} notes heard, {priority} priority")


def _clock(config: LiveConfig) -> Clock:
    return Follower() if config.internal_bpm is None else InternalClock(config.internal_bpm)


def demo(config: LiveConfig, load: Load | None = None) -> None:
    """Plays eight bars by itself: four as if a person had played them, four in answer; leaves demo.mid in the working folder."""
    check_names(config)
    target = Path("demo.mid")
    check_writable(Path.cwd(), target.name, "change to a folder of your own")
    engine = (load or Engine.load)(config.bundle, config.provider)
    check_playable(engine)
    ports = _demo_ports(config)
    try:
        played = _demo_on(ports, engine, config)
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
        print(f"The demo plays without a port, so nothing will be heard. {str(error).replace(f', or {NO_DRIVER}', '')}")
        return None
    print(f"The demo plays on {ports.output.title} ({ports.backend}); connect it to drums to hear it.")
    return ports


def _demo_on(ports: Ports | None, engine: Verbs, config: LiveConfig) -> list[Played]:
    opening, mode = performance(), demo_mode(engine)
    if mode.source != "humanized":
        print("This bundle cannot humanize: the answer is a loop of its own.")
    clock = InternalClock(config.internal_bpm or 120.0)
    played: list[Played] = []
    performer = Performer(
        clock=clock,
        source=Script(opening.grid, clock),
        sink=ports.output if ports else Silence(),
        generator=Generator(lambda job: make_loop(engine, mode, job)),
        mode=mode,
        seed=config.seed,
        controls=config.controls,
        bars=DEMO_BARS,
        offset_s=config.offset_s,
        echo=None,
        on_played=played.append,
        player=Player(loop=opening),
    )
    performer.generator.start()
    print(f"ready: demo, {DEMO_BARS} bars at {clock.timeline.bpm:g} bpm, seed {config.seed}, {engine.provider}", flush=True)
    display = make_display(f"demo   seed {config.seed}", "Ctrl-C stops")
    try:
        run_session(performer, display, ports.watch if ports else list)
    finally:
        display.close()
    return played if performer.finished else []
