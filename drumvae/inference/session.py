"""Opens a graph on a provider and runs it. No other module runs ONNX Runtime."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.format import METADATA_KEY, BundleInfo, read_file, shape_of
from ..bundle.safety import check_graph
from ..music.grid import Array
from ..util.errors import BundleError
from .providers import NAMES, SILENT, could_not_start

_ANY = 0  # marks a free dimension, such as the batch
_MAX_BYTES = 12 << 30  # of memory for a graph; ONNX Runtime refuses to allocate more


class Session:
    """Runs one graph of a bundle.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, session: Any, path: Path, outputs: list[str]) -> None:
        self._session, self._path, self._outputs = session, path, outputs
        batch = {arg.name: arg.shape[0] for arg in session.get_inputs() if arg.shape}
        self.inputs = frozenset(batch)
        self.per_draw = frozenset(name for name, size in batch.items() if size == batch.get("noise", size))
        """Inputs that need a row for each row of noise. Where the others have a batch dimension of their own, one row serves all."""

    def run(self, feeds: dict[str, Array]) -> list[Array]:
        """Returns the graph's outputs, in the schema's order, for float32 inputs by name.

        Raises BundleError if it cannot run, or if an output is not finite.
        """
        arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in feeds.items()}
        try:
            results = self._results(arrays)
        except Exception as error:  # ONNX Runtime has no common base class of errors
            raise BundleError(f"{self._path} could not be run ({_run_failure(error)}). Use --provider cpu, or export it again.") from None
        for name, result in zip(self._outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise BundleError(f"{self._path} wrote values into {name} that are not finite. Use --provider cpu, or export it again.")
        return results

    def _results(self, arrays: dict[str, Array]) -> list[Array]:
        results: list[Array] = self._session.run(self._outputs, arrays)
        return results


class BoundSession(Session):
    """Runs one graph with inputs and outputs at fixed device addresses, as a captured CUDA graph needs them.

    Each batch size up to `MAX_BOUND` has its own buffers; other batches run as in `Session`, uncaptured.
    """

    MAX_BOUND = 4
    """The largest batch in a live session is 3, for a variation or a morph."""

    def __init__(self, session: Any, path: Path, outputs: list[str], device: str) -> None:
        super().__init__(session, path, outputs)
        self._device = device
        self._bound: dict[int, tuple[Any, dict[str, Any]]] = {}

    def _results(self, arrays: dict[str, Array]) -> list[Array]:
        import onnxruntime as ort

        sizes = {len(array) for name, array in arrays.items() if name in ("latent", "noise", "groove", "melody", "tap")}
        loops = max(sizes)
        options = ort.RunOptions()
        captured = loops <= self.MAX_BOUND and len(sizes) == 1
        if self._device == "cuda":
            options.add_run_config_entry("gpu_graph_id", str(loops if captured else -1))
        if not captured:
            results: list[Array] = self._session.run(self._outputs, arrays, options)
            return results
        binding, buffers = self._bound.get(loops) or self._bind(loops, arrays)
        for name, array in arrays.items():
            buffers[name].update_inplace(array)
        self._session.run_with_iobinding(binding, options)
        return [np.array(value) for value in binding.copy_outputs_to_cpu()]

    def _bind(self, loops: int, arrays: dict[str, Array]) -> tuple[Any, dict[str, Any]]:
        import onnxruntime as ort

        binding = self._session.io_binding()
        buffers = {name: ort.OrtValue.ortvalue_from_numpy(array, self._device, 0) for name, array in arrays.items()}
        for name, buffer in buffers.items():
            binding.bind_ortvalue_input(name, buffer)
        for argument in self._session.get_outputs():
            shape = [size if isinstance(size, int) else loops for size in argument.shape]
            buffer = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, self._device, 0)
            binding.bind_ortvalue_output(argument.name, buffer)
        self._bound[loops] = binding, buffers
        return binding, buffers


def open_session(folder: Path, name: str, info: BundleInfo, provider: str, threads: int, capture: bool = False) -> Session:
    """Opens a graph of a bundle and checks it.

    Args:
        folder: The bundle.
        name: File name of the graph.
        info: Description of the bundle.
        provider: One of `drumvae.inference.providers.NAMES`.
        threads: Threads of a run, 0 for all cores.
        capture: Records the first run as a CUDA graph and replays it; only on CUDA.

    Raises:
        BundleError: The graph or its metadata violates the schema, or the provider does not start.
    """
    import onnxruntime as ort

    opset = check_graph(read_file(folder, name), str(folder / name))
    providers: list[Any] = [(NAMES["cuda"], {"enable_cuda_graph": "1"}) if capture else NAMES[provider]]
    providers += [NAMES["cpu"]] if provider != "cpu" else []
    _limit_memory()
    try:
        session = ort.InferenceSession(str(folder / name), _options(provider, threads), providers=providers)
    except Exception as error:  # ONNX Runtime has no common base class of errors
        raise BundleError(f"{folder / name} cannot be opened on {provider}: {_open_failure(error, opset)}. Export it again.") from None
    if session.get_providers()[0] != NAMES[provider]:
        raise BundleError(could_not_start(provider))
    _check_graph(session, folder / name, info)
    outputs = list(info.graphs[name][1])
    return BoundSession(session, folder / name, outputs, "cuda") if capture else Session(session, folder / name, outputs)


def _options(provider: str, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The unrolled decoder has thousands of nodes: further fusions add 0.25 s to the start and make no loop faster.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not take the performer's core
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = provider != "directml"  # DirectML does not support it
    return options


@cache
def _limit_memory() -> None:
    """Registers one memory arena of limited size for all sessions of this process."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    defaults = {"arena_extend_strategy": -1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": _MAX_BYTES, **defaults}))


def _open_failure(error: Exception, opset: int) -> str:
    """Returns why a graph could not be opened."""
    import onnxruntime as ort

    text = str(error)
    if "ValidateOpset" in text or "is under development" in text:
        return f"it is of opset {opset}, which ONNX Runtime {ort.__version__} does not know"
    if "No Op registered for " in text:
        operator = text.split("No Op registered for ")[1].split(maxsplit=1)[0]
        return f"ONNX Runtime {ort.__version__} knows no operator {operator!r:.60} in opset {opset}"
    return _first_line(error)


def _run_failure(error: Exception) -> str:
    """Returns why a run failed."""
    text = str(error)
    if "Available memory of" in text:
        node = text.rsplit("while running ", maxsplit=1)[-1].split(" node", maxsplit=1)[0]
        return f"its {node:.60} asks for more memory than the {_MAX_BYTES >> 30} GB that a graph may take"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _matches(text: str | None, info: BundleInfo) -> bool:
    """Returns whether a graph's metadata equals the bundle's description."""
    try:
        return text is not None and BundleInfo.from_dict(json.loads(text)) == info
    except (ValueError, RecursionError, AttributeError, BundleError):
        return False


def _check_graph(session: Any, path: Path, info: BundleInfo) -> None:
    wanted_inputs, wanted_outputs = info.graphs[path.name]
    for kind, wanted, found in (("input", wanted_inputs, session.get_inputs()), ("output", wanted_outputs, session.get_outputs())):
        shapes = {arg.name: tuple(size if isinstance(size, int) else _ANY for size in arg.shape) for arg in found}
        expected = {name: shape_of(tensor, info, _ANY) for name, tensor in wanted.items()}
        if shapes != expected:
            raise BundleError(f"{path} violates the schema: its {kind}s are {shapes}, not {expected}. Export it again.")
        others = [arg.name for arg in found if arg.type != "tensor(float)"]
        if others:
            raise BundleError(f"{path} violates the schema: {', '.join(others)} is not float32. Export it again.")
    described = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if not _matches(described, info):
        raise BundleError(f"{path} has other metadata than its bundle.json. Export it again.")
