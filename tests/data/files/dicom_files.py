"""DICOM files, written by pydicom."""

from pathlib import Path
from typing import Any

import numpy as np

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def save_dicom(path: Path, stored: np.ndarray, **facts: Any) -> Path:
    """A file of stored values (height, width[, 3]) or, with NumberOfFrames, of frames of these.

    `facts` are elements by their keywords; sequences are lists of dicts.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    in_colour = stored.shape[-1] == 3 and stored.ndim > 2
    frames = "NumberOfFrames" in facts
    height, width = stored.shape[frames : frames + 2]
    bits = stored.dtype.itemsize * 8
    usual = {
        "Modality": "CT", "SeriesInstanceUID": "1.2.3", "Rows": height, "Columns": width,
        "SamplesPerPixel": 3 if in_colour else 1, "BitsAllocated": bits, "BitsStored": bits,
        "HighBit": bits - 1, "PixelRepresentation": int(stored.dtype.kind == "i"),
        "PhotometricInterpretation": "RGB" if in_colour else "MONOCHROME2",
    }  # fmt: skip
    if in_colour:
        usual["PlanarConfiguration"] = 0
    for name, value in (usual | facts).items():
        setattr(dataset, name, _element(value))
    dataset.add_new("PixelData", "OW" if bits > 8 else "OB", stored.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _element(value: Any) -> Any:
    import pydicom

    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return value
    items = []
    for facts in value:
        item = pydicom.Dataset()
        for name, inner in facts.items():
            setattr(item, name, _element(inner))
        items.append(item)
    return items


def save_series(folder: Path, places: list[float], **facts: Any) -> Path:
    """A folder of 4 x 5 CT slices; that at z has the value round(z) in all pixels.

    Their names and instance numbers are in the order given.
    """
    for number, z in enumerate(places):
        stored = np.full((4, 5), round(z) + 1000, np.int16)
        stored[0, 0] += 1  # Not all alike.
        own = {
            "ImagePositionPatient": [-10.0, -20.0, z], "ImageOrientationPatient": list(AXIAL),
            "PixelSpacing": [0.5, 0.5], "InstanceNumber": number + 1, "RescaleSlope": 1,
            "RescaleIntercept": -1000,
        }  # fmt: skip
        own = {name: value for name, value in (own | facts).items() if value is not None}
        save_dicom(folder / f"{number}.dcm", stored, **own)
    return folder
