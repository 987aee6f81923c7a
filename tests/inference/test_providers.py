"""Laws of the choice of a provider and of the fallback to the CPU. Fakes stand for providers that this machine lacks."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from helpers.former import STAGE

from drumvae.bundle.format import BundleInfo, read_bundle
from drumvae.bundle.schema import DECODER
from drumvae.inference import onnx_model, providers
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import Graphs
from drumvae.inference.providers import NAMES, candidates
from drumvae.inference.session import BoundSession, Session, open_session
from drumvae.live.generation.modes import Job, make_loop
from drumvae.live.generation.worker_main import ModelInfo, run_job_with_notice
from drumvae.util.errors import BundleError


class FakeGpuSession:
    """A session on a GPU: runs on the CPU with a delay, and fails on demand."""

    def __init__(self, session: Session, slow_s: float = 0.0) -> None:
        self._session, self.inputs, self.per_draw, self.slow_s = session, session.inputs, session.per_draw, slow_s
        self.fails: str | None = None

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        if self.fails == "nan":
            return NanSession(self._session).run(feeds)
        if self.fails:
            raise BundleError(self.fails)
        time.sleep(self.slow_s)
        return self._session.run(feeds)


class NanSession(Session):
    """Runs a session and writes a NaN into its output before the check."""

    def __init__(self, session: Session) -> None:
        super().__init__(session._session, session._path, session._outputs)

    def _results(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        results = [np.array(result) for result in super()._results(arrays)]
        results[0][0, -1] = np.nan
        return results


class Machine:
    """A machine with an NVIDIA GPU."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.slow_s = 0.0
        self.refuses: str | None = None
        self.no_capture = False
        self.sessions: list[FakeGpuSession] = []
        self.captured: list[str] = []
        patch.setattr(providers, "lacks", lambda name: "" if name in ("cuda", "cpu") else "it is not here")
        patch.setattr(onnx_model, "open_session", self.open)

    def open(self, folder: Path, name: str, info: BundleInfo, provider: str, threads: int, capture: bool = False) -> Any:
        session = open_session(folder, name, info, "cpu", threads)
        if provider == "cpu":
            return session
        if self.refuses or (capture and self.no_capture):
            raise BundleError(self.refuses or "it cannot be captured")
        self.captured += [name] if capture else []
        self.sessions.append(FakeGpuSession(session, self.slow_s))
        return self.sessions[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(BundleError, match="did you mean cuda"):
        candidates("cude")


@pytest.mark.parametrize(
    ("provider", "sentence"),
    [
        ("cuda", r"CUDA was asked for, but .*: type pip install 'drumvae\[cuda\]'"),
        ("coreml", "CoreML was asked for, but .* was built without it: it comes with onnxruntime on macOS"),
        ("directml", "DirectML was asked for, but .* was built without it: .*pip install onnxruntime-directml"),
    ],
)
def test_a_missing_provider_is_refused_with_a_sentence_that_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, provider: str, sentence: str
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [NAMES["cpu"]])
    with pytest.raises(BundleError, match=sentence) as raised:
        Engine.load(provider=provider)
    assert "--provider cpu or auto" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_cuda_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError

    monkeypatch.setattr(ort, "get_available_providers", lambda: [NAMES["cuda"], NAMES["cpu"]])
    monkeypatch.setattr("ctypes.CDLL", missing)
    with pytest.raises(BundleError, match="no NVIDIA driver on this machine"):
        candidates("cuda")
    assert candidates("auto") == ("cpu",)


def test_auto_takes_the_only_provider_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "lacks", lambda name: "" if name == "cpu" else "not here")
    engine = Engine.load(provider="auto")
    assert (engine.provider, engine.provider_reason) == ("cpu", "cpu, the only one that works on this machine")
    assert Engine.load(provider="cpu").provider_reason == "cpu, as asked for"


@pytest.mark.parametrize(("slow_s", "taken"), [(0.0, "either"), (0.2, "cpu")])
def test_auto_takes_the_fastest_and_says_why(machine: Machine, slow_s: float, taken: str) -> None:
    machine.slow_s = slow_s
    engine = Engine.load(provider="auto")
    assert engine.provider in (("cpu", "cuda") if taken == "either" else (taken,))
    assert engine.provider_reason.startswith(f"{engine.provider}, the fastest here: a loop takes ")
    assert all(f"ms on {name}" in engine.provider_reason for name in ("cpu", "cuda"))


def test_auto_stops_timing_at_its_limit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose first timed run exceeds the limit runs twice: once to warm up and once to be timed."""
    runs = []
    run = FakeGpuSession.run
    monkeypatch.setattr(FakeGpuSession, "run", lambda self, feeds: runs.append(self) or run(self, feeds))
    monkeypatch.setattr(onnx_model, "_MAX_TIMING_S", 0.0)
    Engine.load(provider="auto")
    *_, decoder = machine.sessions
    assert runs.count(decoder) == 2


@pytest.mark.parametrize("fails", ["opening", "running"])
def test_auto_takes_the_cpu_where_cuda_is_there_but_does_not_work(machine: Machine, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def broken(self: FakeGpuSession, feeds: object) -> list[np.ndarray]:
        raise BundleError("no cuDNN")

    if fails == "opening":
        machine.refuses = "no cuBLAS"
    else:
        monkeypatch.setattr(FakeGpuSession, "run", broken)
    engine = Engine.load(provider="auto")
    assert (engine.provider, engine.provider_reason) == ("cpu", "cpu, the only one that works on this machine")
    assert engine.generate(seed=0)[0].steps == 64
    with pytest.raises(BundleError, match="no cu"):
        Engine.load(provider="cuda")


@pytest.mark.parametrize("no_capture", [False, True])
def test_on_cuda_the_decoder_is_captured_where_it_can_be_and_runs_uncaptured_where_not(machine: Machine, no_capture: bool) -> None:
    machine.no_capture = no_capture
    engine = Engine.load(provider="cuda")
    assert machine.captured == ([] if no_capture else [DECODER])
    assert (engine.provider, engine.provider_reason) == ("cuda", "cuda, as asked for")
    assert engine.generate(3) == Engine.load(provider="cpu").generate(3)


@pytest.mark.parametrize("error", ["out of memory on the device", "nan"])
def test_a_failing_provider_is_replaced_by_the_cpu_within_the_job_and_reported_once(machine: Machine, error: str) -> None:
    engine = Engine.load(provider="cuda")
    expected = [make_loop(Engine.load(provider="cpu"), Job(index, index, "generate")) for index in range(3)]
    assert run_job_with_notice(engine, make_loop, Job(0, 0, "generate")) == (expected[0], None)
    for session in machine.sessions:
        session.fails = error
    loop, notice = run_job_with_notice(engine, make_loop, Job(1, 1, "generate"))
    assert loop == expected[1]
    assert notice is not None
    assert notice.startswith("The model failed on cuda and runs on the CPU from now on. ")
    assert ("not finite" if error == "nan" else error) in notice
    assert run_job_with_notice(engine, make_loop, Job(2, 2, "generate")) == (expected[2], None)
    assert engine.provider == "cpu"


def test_no_graph_is_opened_during_the_fallback(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening graphs takes a good part of a bar, so the fallback is opened at the start."""
    engine = Engine.load(provider="cuda")
    for session in machine.sessions:
        session.fails = "gone"
    monkeypatch.setattr(onnx_model, "open_session", None)
    engine.generate(0)
    assert engine.provider == "cpu"


def test_an_output_that_is_not_finite_is_never_played() -> None:
    engine = Engine.load(provider="cpu")
    sessions = engine.model.graphs.sessions
    engine.model.graphs = Graphs({**sessions, DECODER: NanSession(sessions[DECODER])}, "cpu")
    loop, error = run_job_with_notice(engine, make_loop, Job(4, 0, "generate"))
    assert loop is None
    assert error is not None
    assert "not finite" in error
    assert error.endswith("the last loop plays on.")


def test_model_info_has_the_provider_and_its_reason() -> None:
    facts = ModelInfo.of(Engine.load(provider="cpu"))
    assert (facts.provider, facts.provider_reason) == ("cpu", "cpu, as asked for")


def test_a_bound_session_gives_the_same_loops_for_every_batch_size() -> None:
    """As for a captured graph, here on the CPU: each batch size has its own buffers, which keep nothing of the run before."""
    info, draw = read_bundle(STAGE), np.random.default_rng(0)
    plain = open_session(STAGE, DECODER, info, "cpu", 1)
    bound = BoundSession(plain._session, plain._path, plain._outputs, "cpu")
    for loops in (1, 3, 1, 3, 2, 9, 1):
        feeds = {
            "latent": draw.standard_normal((loops, 256), np.float32),
            "noise": draw.random((loops, 64, 9), np.float32),
            "temperature": np.full(loops, 0.9, np.float32),
            "thresholds": np.full(9, 0.4, np.float32),
            "hit_values": (draw.random((loops, 64, 9)) < 0.2).astype(np.float32),
            "hit_mask": (draw.random((loops, 64, 9)) < 0.2).astype(np.float32),
        }
        feeds |= {name: np.zeros((loops, 64, *rest), np.float32) for name, rest in (("teacher_target", (27,)), ("teacher_forcing", ()))}
        (expected,), (found,) = plain.run(feeds), bound.run(feeds)
        assert np.array_equal(expected, found)
    assert sorted(bound._bound) == [1, 2, 3]
