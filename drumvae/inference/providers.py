"""The name of a provider in, what this machine lacks for it out. A provider is what ONNX Runtime computes on."""

import ctypes
import sys
from typing import Any

from ..util.errors import BundleError, nearest

PROVIDERS = ("auto", "cuda", "coreml", "directml", "cpu")
RACED = ("cuda", "directml", "cpu")
"""What auto measures. CoreML has no comparison of numbers, so that a loop would change processors at each of its steps, and preparing
it takes longer than a start may: it is there for who asks for it."""
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
"""ONNX Runtime's log level "fatal": what fails is said by us, in a sentence."""


def candidates(wanted: str) -> tuple[str, ...]:
    """Returns what a bundle may be opened on, of `NAMES`: one, or for "auto" all that are here and may be the fastest.

    Raises BundleError where an unknown or absent one is asked for.
    """
    if wanted not in PROVIDERS:
        raise BundleError(f"There is no provider {wanted!r}; {nearest(wanted, list(PROVIDERS))}")
    if wanted == "auto":
        return tuple(name for name in RACED if not lacks(name))
    if lacking := lacks(wanted):
        raise BundleError(f"{_TITLES[wanted]} was asked for, but {lacking}: {_INSTALL[wanted]}; or use --provider cpu or auto.")
    return (wanted,)


def lacks(provider: str) -> str:
    """Returns what is missing for a provider on this machine, or nothing."""
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
    """Returns what to do where a provider is there and does not start."""
    return f"{_TITLES[provider]} was asked for, but ONNX Runtime could not start it: {_INSTALL[provider]}; or use --provider cpu or auto."
