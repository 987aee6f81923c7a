"""Lists the providers of ONNX Runtime that work on this machine, and explains why the others do not."""

import ctypes
import sys
from typing import Any

from ..util.errors import BundleError, nearest

PROVIDERS = ("auto", "cuda", "coreml", "directml", "cpu")
TIMED = ("cuda", "directml", "cpu")
"""The providers that auto times. CoreML must be chosen by name: it has no comparison operator, so that a loop changes processors at
each step, and it takes too long to start."""
NAMES = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_TITLES = {"cuda": "CUDA", "coreml": "CoreML", "directml": "DirectML"}
_INSTALL = {
    "cuda": "type pip install 'drumvae[cuda]' on a machine with an NVIDIA GPU and its driver",
    "coreml": "it comes with onnxruntime on macOS, and nowhere else",
    "directml": "on Windows type pip uninstall onnxruntime-gpu, then pip install onnxruntime-directml",
}
SILENT = 4
"""ONNX Runtime's log level "fatal": drumvae reports failures itself."""


def candidates(wanted: str) -> tuple[str, ...]:
    """Returns the providers to open a bundle on: the wanted one, or for "auto" all of `TIMED` that are available.

    Raises BundleError for an unknown or unavailable provider.
    """
    if wanted not in PROVIDERS:
        raise BundleError(f"There is no provider {wanted!r}; {nearest(wanted, list(PROVIDERS))}")
    if wanted == "auto":
        return tuple(name for name in TIMED if not lacks(name))
    if lacking := lacks(wanted):
        raise BundleError(f"{_TITLES[wanted]} was asked for, but {lacking}: {_INSTALL[wanted]}; or use --provider cpu or auto.")
    return (wanted,)


def lacks(provider: str) -> str:
    """Returns a clause about a missing requirement of a provider on this machine, or an empty string."""
    import onnxruntime as ort

    if NAMES[provider] not in ort.get_available_providers():
        return f"this ONNX Runtime ({ort.__version__}) was built without it"
    return _lacks_driver(ort) if provider == "cuda" else ""


def _lacks_driver(ort: Any) -> str:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver on this machine"
    ort.set_default_logger_severity(SILENT)
    ort.preload_dlls()  # finds cuBLAS and cuDNN where pip put them
    return ""


def could_not_start(provider: str) -> str:
    """Returns a sentence for a provider that is available and does not start."""
    return f"{_TITLES[provider]} was asked for, but ONNX Runtime could not start it: {_INSTALL[provider]}; or use --provider cpu or auto."


def provider_reason(provider: str, seconds_per_loop: dict[str, float], wanted: str) -> str:
    """Returns a sentence that says why a bundle runs on a provider, given the times of all that were tried."""
    if wanted != "auto":
        return f"{provider}, as asked for"
    if len(seconds_per_loop) < 2:
        return f"{provider}, the only one that works on this machine"
    fastest_first = sorted(seconds_per_loop.items(), key=lambda item: item[1])
    return f"{provider}, the fastest here: a loop takes {', '.join(f'{1000 * each:.2g} ms on {name}' for name, each in fastest_first)}"
