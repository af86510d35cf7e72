#!/usr/bin/env bash
# tensorflow-datasets 4.9.10 refuses the Fashion-MNIST of Debian's dataset-fashion-mnist (0.0~git20200523.55506a9-1).
#
# The package has the four IDX files, gzipped anew: the headers have no file name, so each is 23 or 24 bytes shorter
# than the file that TFDS knows by its checksum, and manual_dir takes bytes, not contents. What is inside is whole.
# Seen: with all four files in manual_dir, NonMatchingChecksumError for one of them; with the name put back into the
# header, each has the size that TFDS registers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq dataset-fashion-mnist=0.0~git20200523.55506a9-1
dpkg-deb -x dataset-fashion-mnist_*.deb debian
python3 -m venv venv
venv/bin/pip install --quiet tensorflow-datasets==4.9.10 numpy==2.3.5 importlib_resources
venv/bin/python - <<'PYTHON' 2>&1 | grep -v -i warning
import gzip
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

folder = Path("debian/usr/share/datasets/fashion-mnist")
registered = {
    info.filename: info.size
    for url, info in checksums.get_all_url_infos().items()
    if "fashion-mnist" in url
}
for file in sorted(folder.glob("*.gz")):
    content, name = gzip.decompress(file.read_bytes()), file.name.removesuffix(".gz")
    count = int.from_bytes(content[4:8], "big")
    size = 8 if "labels" in name else 16
    assert len(content) == size + count * (1 if "labels" in name else 784), "it is not whole"
    with_name = file.stat().st_size + len(name) + 1
    print(file.name, file.stat().st_size, "bytes; with its name", with_name, "registered", registered[file.name])
    assert with_name == registered[file.name]
config = tfds.download.DownloadConfig(manual_dir=folder.absolute(), force_checksums_validation=True)
builder = tfds.builder("fashion_mnist", data_dir="prepared")
try:
    builder.download_and_prepare(download_config=config, file_format="array_record")
except NonMatchingChecksumError as error:
    print("refused:", str(error).splitlines()[0][:100])
else:
    raise SystemExit("changed: TFDS takes these files now")
PYTHON
