"""Images and labels as files of each format."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

Images = NDArray[np.uint8]


def idx(values: NDArray[Any]) -> bytes:
    header = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


def csv(images: Images, labels: NDArray[Any], header: str = "") -> str:
    """Return a row an image, the label first, under the header if there is one."""
    rows = np.concatenate([labels[:, None], images.reshape(-1, 784)], axis=1).tolist()
    return header + "".join(",".join(map(str, row)) + "\n" for row in rows)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def mat(compress: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays, do_compression=compress)
    return file.getvalue()
