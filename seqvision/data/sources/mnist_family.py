"""Prepares TFDS's MNIST family without TensorFlow.

TFDS's own builders need TensorFlow for two things only: to gunzip the files and to encode PNG.
The subclasses made here do the first with `gzip` and the second with Pillow. The download, its
checksums, the features and the files on disk stay TFDS's, so that stock
`tfds.data_source("mnist")` reads the result.
"""

import contextlib
import io
import os
import shutil
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import filelock
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import registered
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError
from tensorflow_datasets.core.utils import tqdm_utils

from seqvision.data.sources.download import giving_up_soon
from seqvision.data.sources.idx import read_idx
from seqvision.errors import UserError, explain_os_error, first_line, is_disk_full

FAMILY = ("mnist", "fashion_mnist", "kmnist", "emnist")
StrPath: TypeAlias = str | os.PathLike[str]
SHIPPED_MNIST = Path(str(resources.files("seqvision.data"))) / "mnist"
# Work in progress lives here, inside the data directory, so that the last step is one rename.
_STAGING = ".seqvision"
# Stands in the folders made here: what others prepared is never moved.
MARKER = ".prepared-by-seqvision"


def prepare(name: str, data_dir: Path, say: Callable[[str], None], show_progress: bool) -> None:
    """Prepares `mnist`, `fashion_mnist`, `kmnist` or `emnist/CONFIG` under `data_dir`.

    `mnist` is made from the four files that this package ships; the others are downloaded.
    An interrupted preparation leaves nothing that looks finished, and the next call clears it
    away. Several processes may call this at once: one works, the others wait.

    Args:
      name: the TFDS name, with `/CONFIG` where the set has several.
      data_dir: TFDS's data directory.
      say: called with a line of progress.
      show_progress: let TFDS draw its progress bars.

    Raises:
      UserError: damaged files, no network, no space left: one line that says what to do.
    """
    staging = data_dir / _STAGING / name.replace("/", "-")
    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(staging.with_suffix(".lock")):
            _prepare_alone(name, data_dir, staging, say, show_progress)
    except OSError as error:
        raise UserError(explain_os_error(error, data_dir, "config.data.dir")) from error


def _prepare_alone(
    name: str, data_dir: Path, staging: Path, say: Callable[[str], None], show_progress: bool
) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    builder = _builder(name, staging)
    target = data_dir / Path(builder.data_path).relative_to(staging)
    if (target / "dataset_info.json").exists():
        return  # Another process prepared it while this one waited for the lock.
    host = urllib.parse.urlsplit(builder.URL).hostname
    source = "" if name == "mnist" else f"; downloading from {host} what is not there"
    say(f"preparing {builder.info.full_name} in {data_dir}, once{source}")
    config = tfds.download.DownloadConfig(
        manual_dir=SHIPPED_MNIST if name == "mnist" else None,
        try_download_gcs=False,
        force_checksums_validation=True,
    )
    try:
        with _quiet(show_progress), giving_up_soon():
            builder.download_and_prepare(
                file_format="array_record",
                download_dir=data_dir / "downloads",
                download_config=config,
            )
        (Path(builder.data_path) / MARKER).touch()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # Without dataset_info.json it is half of something.
            move_aside(target)
        Path(builder.data_path).replace(target)
    except NonMatchingChecksumError as error:
        path = str(error).partition("downloaded to ")[2].partition(",")[0]
        damage, remedy = "damaged", "reinstall seqvision"
        if name != "mnist":
            # TFDS compares compressed bytes, which differ for the same images in Debian's package.
            damage = "damaged, or compressed anew"
            remedy = (
                "delete it, then run the command again; or read its folder as it is, with"
                " --config.data.source=idx and --config.data.path"
            )
        raise UserError(
            f"{path}: {damage}: its SHA-256 is not the one TFDS registers for {name}; {remedy}"
        ) from error
    except (OSError, ValueError, RuntimeError, DownloadError) as error:
        raise _explained(error, name, data_dir) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def move_aside(prepared: Path) -> Path:
    """Renames a damaged folder so that TFDS passes over it; nothing is deleted."""
    taken = sum(1 for _ in prepared.parent.glob(f"{prepared.name}.damaged*"))
    return prepared.rename(prepared.with_name(f"{prepared.name}.damaged{taken or ''}"))


def _explained(error: Exception, name: str, data_dir: Path) -> UserError:
    library = type(error).__module__.partition(".")[0]
    is_network = library in ("requests", "urllib", "urllib3", "socket")
    if is_disk_full(error) or (isinstance(error, OSError) and not is_network):
        return UserError(explain_os_error(error, data_dir, "config.data.dir"))
    reason = first_line(error, width=200)
    if name == "mnist":
        return UserError(f"{data_dir}: mnist could not be prepared: {reason}")
    return UserError(
        f"{name}: not prepared in {data_dir}, and its download failed ({reason}); run again with"
        f" a network, or put its files into {data_dir / 'downloads' / 'manual'}"
    )


def _builder(name: str, data_dir: Path) -> Any:
    """TFDS's builder of `name`, changed to do without TensorFlow."""
    name, _, config = name.partition("/")
    stock = tfds.builder_cls(name)
    # Unregistered, the subclass may keep the stock name, and so the stock folder.
    with registered.skip_registration():

        class WithoutTensorFlow(stock):  # type: ignore[misc,valid-type]
            pkg_dir_path = stock.pkg_dir_path

            def _split_generators(self, dl_manager: Any) -> Any:
                return super()._split_generators(_Downloads(dl_manager))

            def _generate_examples(
                self, num_examples: int, data_path: StrPath, label_path: StrPath
            ) -> Iterator[tuple[int, dict[str, Any]]]:
                images, labels = read_idx(Path(data_path)), read_idx(Path(label_path))
                if not len(images) == len(labels) == num_examples:
                    raise ValueError(
                        f"{data_path}: {len(images)} images and {len(labels)} labels where"
                        f" {num_examples} belong"
                    )
                for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield index, {"image": _png(image), "label": int(label)}

    WithoutTensorFlow.name = stock.name
    return WithoutTensorFlow(data_dir=data_dir, config=config or None)


class _Downloads:
    """TFDS's download manager, handing out gzipped files as they are."""

    def __init__(self, dl_manager: Any) -> None:
        self._dl_manager = dl_manager

    def download_and_extract(self, urls: str | Mapping[str, str]) -> Any:
        paths = self._dl_manager.download(urls)
        return paths if isinstance(urls, Mapping) else self._unzip(Path(paths))

    def extract(self, paths: Mapping[str, str]) -> Mapping[str, str]:
        return paths

    def _unzip(self, path: Path) -> str:
        folder = path.with_suffix(".unzipped")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        return str(folder)


def _png(image: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    # The higher levels take a third more time, and save 3 % of the bytes.
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    buffer.seek(0)
    return buffer


@contextlib.contextmanager
def _quiet(show_progress: bool) -> Iterator[None]:
    """Keeps TFDS's announcements, and its progress bars where asked, off the screen."""
    tqdm_utils.display_progress_bar(show_progress)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm_utils.display_progress_bar(True)
