"""A graph file and the name of a provider in, a session that runs it out. The only place where ONNX Runtime is touched."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.format import METADATA_KEY, OPTIONAL, BundleInfo, read_file, shape_of
from ..bundle.safety import check_graph
from ..music.grid import Array
from ..util.errors import BundleError
from .providers import NAMES, SILENT, could_not_start

_ANY = 0  # a size that is free: however many loops
_MOST_BYTES = 12 << 30  # that a graph may hold at once: what asks for more is refused, and nothing allocated


class Session:
    """Runs one graph of a bundle."""

    def __init__(self, session: Any, path: Path, outputs: list[str]) -> None:
        self._session, self._path, self._outputs = session, path, outputs
        self.inputs = frozenset(arg.name for arg in session.get_inputs())

    def run(self, feeds: dict[str, Array]) -> list[Array]:
        """Returns the graph's outputs, in the contract's order, for float32 inputs by name.

        Raises BundleError where it cannot run, and where an output is no number.
        """
        arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in feeds.items()}
        try:
            results = self._results(arrays)
        except Exception as error:  # ONNX Runtime has no common base for what a provider may lack
            raise BundleError(f"{self._path} could not be run ({_why_not(error)}). Use --provider cpu, or export it again.") from None
        for name, result in zip(self._outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise BundleError(f"{self._path} wrote values into {name} that are no numbers. Use --provider cpu, or export it again.")
        return results

    def _results(self, arrays: dict[str, Array]) -> list[Array]:
        results: list[Array] = self._session.run(self._outputs, arrays)
        return results


class BoundSession(Session):
    """Runs one graph with inputs and outputs that stay where they are on a device, as a captured CUDA graph needs them.

    A batch of each size up to `MOST_BOUND` has its own place; a larger one runs as in `Session`, uncaptured.
    """

    MOST_BOUND = 4
    """Loops that the stage asks for at once, at most: it varies and morphs through three."""

    def __init__(self, session: Any, path: Path, outputs: list[str], device: str) -> None:
        super().__init__(session, path, outputs)
        self._device = device
        self._bound: dict[int, tuple[Any, dict[str, Any]]] = {}

    def _results(self, arrays: dict[str, Array]) -> list[Array]:
        import onnxruntime as ort

        loops = max(len(array) for name, array in arrays.items() if name in ("latent", "groove", "melody", "tap"))
        options = ort.RunOptions()
        captured = loops <= self.MOST_BOUND
        if self._device == "cuda":
            options.add_run_config_entry("gpu_graph_id", str(loops if captured else -1))
        if not captured:
            results: list[Array] = self._session.run(self._outputs, arrays, options)
            return results
        binding, places = self._bound.get(loops) or self._bind(loops, arrays)
        for name, array in arrays.items():
            places[name].update_inplace(array)
        self._session.run_with_iobinding(binding, options)
        return [np.array(value) for value in binding.copy_outputs_to_cpu()]

    def _bind(self, loops: int, arrays: dict[str, Array]) -> tuple[Any, dict[str, Any]]:
        import onnxruntime as ort

        binding = self._session.io_binding()
        places = {name: ort.OrtValue.ortvalue_from_numpy(array, self._device, 0) for name, array in arrays.items()}
        for name, place in places.items():
            binding.bind_ortvalue_input(name, place)
        for argument in self._session.get_outputs():
            shape = [size if isinstance(size, int) else loops for size in argument.shape]
            place = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, self._device, 0)
            binding.bind_ortvalue_output(argument.name, place)
        self._bound[loops] = binding, places
        return binding, places


def open_session(folder: Path, name: str, info: BundleInfo, provider: str, threads: int, capture: bool = False) -> Session:
    """Opens a graph of a bundle and checks its inputs and outputs against the contract; raises BundleError.

    With `capture`, on CUDA alone, it is recorded once as a CUDA graph and then replayed.
    """
    import onnxruntime as ort

    opset = check_graph(read_file(folder, name), str(folder / name))
    chosen: list[Any] = [(NAMES["cuda"], {"enable_cuda_graph": "1"}) if capture else NAMES[provider]]
    chosen += [NAMES["cpu"]] if provider != "cpu" else []
    _limit_memory()
    try:
        session = ort.InferenceSession(str(folder / name), _options(provider, threads), providers=chosen)
    except Exception as error:  # ONNX Runtime has no common base for what can be wrong with a graph
        raise BundleError(f"{folder / name} cannot be opened on {provider}: {_reason(error, opset)}. Export it again.") from None
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
    # The unrolled decoder has thousands of nodes: further fusions cost a quarter of a second of start and make no loop faster.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not take the performer's core
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = provider != "directml"  # which refuses it
    return options


@cache
def _limit_memory() -> None:
    """Lets every session of this process allocate from one place, which has an end."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    unlike = {"arena_extend_strategy": -1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}  # as it would be otherwise
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": _MOST_BYTES, **unlike}))


def _reason(error: Exception, opset: int) -> str:
    """Returns why a graph was not opened."""
    import onnxruntime as ort

    text = str(error)
    if "ValidateOpset" in text or "is under development" in text:
        return f"it is of opset {opset}, which ONNX Runtime {ort.__version__} does not know"
    if "No Op registered for " in text:
        operator = text.split("No Op registered for ")[1].split(maxsplit=1)[0]
        return f"ONNX Runtime {ort.__version__} knows no operator {operator!r:.60} in opset {opset}"
    return _first_line(error)


def _why_not(error: Exception) -> str:
    """Returns why a graph was not run."""
    text = str(error)
    if "Available memory of" in text:
        node = text.rsplit("while running ", maxsplit=1)[-1].split(" node", maxsplit=1)[0]
        return f"its {node:.60} asks for more memory than the {_MOST_BYTES >> 30} GB that a graph may take"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _describes(text: str | None, info: BundleInfo) -> bool:
    """Says whether a graph's own description is the bundle's."""
    try:
        return text is not None and BundleInfo.from_dict(json.loads(text)) == info
    except (ValueError, RecursionError, AttributeError, BundleError):
        return False


def _check_graph(session: Any, path: Path, info: BundleInfo) -> None:
    wanted_inputs, wanted_outputs = info.graphs[path.name]
    for kind, wanted, found in (("input", wanted_inputs, session.get_inputs()), ("output", wanted_outputs, session.get_outputs())):
        shapes = {arg.name: tuple(size if isinstance(size, int) else _ANY for size in arg.shape) for arg in found}
        whole = info.encoding == "melody" or not shapes.keys().isdisjoint(OPTIONAL)
        expected = {name: shape_of(letters, info, _ANY) for name, letters in wanted.items() if whole or name not in OPTIONAL}
        if shapes != expected:
            raise BundleError(f"{path} does not keep the contract: its {kind}s are {shapes}, not {expected}. Export it again.")
        odd = [arg.name for arg in found if arg.type != "tensor(float)"]
        if odd:
            raise BundleError(f"{path} does not keep the contract: {', '.join(odd)} is not float32. Export it again.")
    described = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if not _describes(described, info):
        raise BundleError(f"{path} describes itself otherwise than its bundle.json. Export it again.")
