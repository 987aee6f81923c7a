"""Rows of an array in, one after the other, a .npy file out: written as they come, so that nothing waits in memory."""

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER_BYTES = 128  # two blocks of the 64 to which the format aligns: room for any length


class GrowingArray:
    """Writes a .npy file of version 1.0 whose first axis grows; as a context manager it is closed, and whole, at the end."""

    def __init__(self, path: Path, dtype: DTypeLike, row_shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._row_shape, self._length = np.dtype(dtype), row_shape, 0
        self._file = path.open("wb")
        self._write_header()

    def append(self, rows: ArrayLike) -> None:
        """Adds rows (n, ...); raises ValueError where they have another shape."""
        array = np.ascontiguousarray(rows, self._dtype)
        if array.shape[1:] != self._row_shape:
            raise ValueError(f"rows are {self._row_shape}, not {array.shape[1:]}")
        self._file.write(array.data)
        self._length += len(array)

    def close(self) -> None:
        """Writes the final length to the front."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        facts = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._length, *self._row_shape)}
        room = _HEADER_BYTES - len(_MAGIC) - 2
        self._file.write(_MAGIC + room.to_bytes(2, "little") + repr(facts).ljust(room - 1).encode("latin1") + b"\n")

    def __enter__(self) -> "GrowingArray":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
