"""Read pictures by Tesseract and RapidOCR, if they are installed; neither is a dependency."""

import importlib
import importlib.util
import io
import shutil
import subprocess
from collections.abc import Callable

import numpy as np
from PIL import Image

Reader = Callable[[np.ndarray], str]

_RAPID = "rapidocr_onnxruntime"
_TESSERACT = "tesseract stdin stdout --psm 7 -c tessedit_char_whitelist=0123456789"


def readers() -> dict[str, Reader]:
    """Returns what is installed: maps luminance, uint8 `[height, width]`, to digits."""
    found: dict[str, Reader] = {}
    if shutil.which("tesseract"):
        found["Tesseract"] = _tesseract
    if importlib.util.find_spec(_RAPID):
        found["RapidOCR"] = _rapid()
    return found


def _tesseract(gray: np.ndarray) -> str:
    png = io.BytesIO()
    Image.fromarray(gray).save(png, "PNG")
    done = subprocess.run(_TESSERACT.split(), input=png.getvalue(), capture_output=True, check=True)
    return _digits(done.stdout.decode())


def _rapid() -> Reader:
    engine = importlib.import_module(_RAPID).RapidOCR()

    def read(gray: np.ndarray) -> str:
        found, _ = engine(np.repeat(gray[..., None], 3, 2))
        by_place = sorted(found or [], key=lambda one: one[0][0][0])  # its first corner's x
        return _digits("".join(text for _, text, *_ in by_place))

    return read


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
