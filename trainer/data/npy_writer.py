"""Appends rows to a .npy file whose length is not known beforehand.

`np.lib.format.open_memmap` needs the final shape when the file is created, so it cannot be used here.
"""

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER_BYTES = 128  # a multiple of 64, to which the format aligns, with room for any length


class NpyWriter:
    """Writes a .npy file of version 1.0 whose first axis grows. As a context manager, it closes the file at the end."""

    def __init__(self, path: Path, dtype: DTypeLike, row_shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._row_shape, self._length = np.dtype(dtype), row_shape, 0
        self._file = path.open("wb")
        self._write_header()

    def append(self, rows: ArrayLike) -> None:
        """Appends rows (n, ...). Raises ValueError for rows of another shape."""
        array = np.ascontiguousarray(rows, self._dtype)
        if array.shape[1:] != self._row_shape:
            raise ValueError(f"rows are {self._row_shape}, not {array.shape[1:]}")
        self._file.write(array.data)
        self._length += len(array)

    def close(self) -> None:
        """Rewrites the header with the final length and closes the file."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._length, *self._row_shape)}
        size = _HEADER_BYTES - len(_MAGIC) - 2
        self._file.write(_MAGIC + size.to_bytes(2, "little") + repr(header).ljust(size - 1).encode("latin1") + b"\n")

    def __enter__(self) -> "NpyWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
