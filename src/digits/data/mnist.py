"""The four MNIST files: packaged with the project, unpacked once to a cache folder, read by torchvision."""

import gzip
import zlib
from pathlib import Path
from urllib.error import URLError

from torchvision.datasets import MNIST
from torchvision.datasets.utils import check_integrity

from digits.data.chunks import Batch
from digits.errors import UserError
from digits.files import atomic_write

PACKAGED = Path(__file__).with_name("packaged")

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MNIST's known sums, of the unpacked files."""


def prepare(folder: Path) -> None:
    """Put the four files, checked, where torchvision looks for them: unpack those that are not there or are damaged.

    Raises:
        UserError: if the files can be neither unpacked nor downloaded, or the folder cannot be written to.
    """
    raw = folder / "MNIST" / "raw"
    damaged = [name for name, md5 in MD5.items() if not check_integrity(raw / name, md5)]
    if not damaged:
        return
    try:
        raw.mkdir(parents=True, exist_ok=True)
        for name in damaged:
            (raw / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"data.dir={folder}: cannot be written to ({error.strerror})") from error
    if all((PACKAGED / f"{name}.gz").exists() for name in damaged):
        for name in damaged:
            _unpack(PACKAGED / f"{name}.gz", raw / name)
    else:
        _download(folder)


def read(folder: Path, train: bool) -> Batch:
    """Read one half of MNIST.

    Returns:
        The images, uint8 [N, 28, 28], 0 to 255, bright ink on black, and the labels, int64 [N], 0 to 9;
        N is 60,000 for the training half and 10,000 for the test half.
    """
    dataset = MNIST(folder, train=train)
    return Batch(dataset.data, dataset.targets)


def _unpack(source: Path, target: Path) -> None:
    try:
        content = gzip.decompress(source.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{source}: damaged ({error}); restore it with: git checkout -- {source}") from error
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)
    if not check_integrity(target, MD5[target.name]):
        target.unlink()
        raise UserError(f"{source}: not the MNIST file of that name; restore it with: git checkout -- {source}")


def _download(folder: Path) -> None:
    try:
        MNIST(folder, download=True)
    except (RuntimeError, URLError, OSError) as error:
        names = ", ".join(f"{name}.gz" for name in MD5)
        reason = str(error).splitlines()[0]
        raise UserError(
            f"data=mnist: the files are not in {PACKAGED} and cannot be downloaded ({reason}); put {names} there"
        ) from error
