"""A graph file and the name of a provider in, a session that runs it out. The only place where ONNX Runtime is touched."""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .bundle import GRAPHS, METADATA_KEY, OPTIONAL, BundleInfo, shape_of
from .errors import BundleError, nearest
from .grid import Array

PROVIDERS = ("auto", "cuda", "cpu")
_NAMES = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_ANY = 0  # a size that is free: however many loops
_SILENT = 4  # ONNX Runtime's log level "fatal": what fails is said by us, in a sentence


class Session:
    """Runs one graph of a bundle."""

    def __init__(self, session: Any, path: Path, outputs: list[str]) -> None:
        self._session, self._path, self._outputs = session, path, outputs
        self.inputs = frozenset(arg.name for arg in session.get_inputs())

    def run(self, feeds: dict[str, Array]) -> list[Array]:
        """Returns the graph's outputs, in the contract's order, for float32 inputs by name; raises BundleError where it cannot run."""
        arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in feeds.items()}
        try:
            results: list[Array] = self._session.run(self._outputs, arrays)
        except Exception as error:  # ONNX Runtime has no common base for what a provider may lack
            raise BundleError(f"{self._path} could not be run ({_first_line(error)}). Use --provider cpu, or export it again.") from None
        return results


def choose_provider(wanted: str) -> str:
    """Returns "cuda" or "cpu"; raises BundleError where an unknown or absent one is asked for."""
    if wanted not in PROVIDERS:
        raise BundleError(f"There is no provider {wanted!r}; {nearest(wanted, list(PROVIDERS))}")
    if wanted == "cpu":
        return "cpu"
    lacking = _cuda_lacks()
    if lacking and wanted == "cuda":
        raise BundleError(f"CUDA was asked for, but {lacking}. Use --provider cpu or auto.")
    return "cpu" if lacking else "cuda"


def open_session(folder: Path, name: str, info: BundleInfo, provider: str, threads: int) -> Session:
    """Opens a graph of a bundle and checks its inputs and outputs against the contract; raises BundleError."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The unrolled decoder has thousands of nodes: further fusions cost a quarter of a second of start and make no loop faster.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not take the performer's core
    names = [_NAMES[provider]] if provider == "cpu" else [_NAMES[provider], _NAMES["cpu"]]
    try:
        session = ort.InferenceSession(str(folder / name), options, providers=names)
    except Exception as error:  # ONNX Runtime has no common base for what can be wrong with a graph
        raise BundleError(f"{folder / name} cannot be opened on {provider} ({_first_line(error)}). Export it again.") from None
    if session.get_providers()[0] != _NAMES[provider]:
        raise BundleError(f"CUDA was asked for, but ONNX Runtime could not start it. {_INSTALL}")
    _check_graph(session, folder / name, info)
    return Session(session, folder / name, list(GRAPHS[info.encoding][name][1]))


_INSTALL = "Type pip install 'drumvae[cuda]' and check that the NVIDIA driver is recent enough, or use --provider cpu or auto."


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _cuda_lacks() -> str:
    """Returns what is missing for CUDA, or nothing."""
    import onnxruntime as ort

    if _NAMES["cuda"] not in ort.get_available_providers():
        return "this ONNX Runtime was built without it; install onnxruntime-gpu"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver on this machine"
    ort.set_default_logger_severity(_SILENT)
    ort.preload_dlls()  # finds cuBLAS and cuDNN where pip put them
    return ""


def _describes(text: str | None, info: BundleInfo) -> bool:
    """Says whether a graph's own description is the bundle's."""
    try:
        return text is not None and json.loads(text) == json.loads(json.dumps(info.to_dict()))
    except (ValueError, RecursionError):
        return False


def _check_graph(session: Any, path: Path, info: BundleInfo) -> None:
    wanted_inputs, wanted_outputs = GRAPHS[info.encoding][path.name]
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
