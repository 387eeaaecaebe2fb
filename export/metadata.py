"""The contract travels in the file: what goes in, what comes out, where it comes from.

In ONNX it stands in `metadata_props`, each value as JSON. In TFLite it is a ZIP archive
appended to the flatbuffer, as TensorFlow's own metadata tools append label files: a
runtime ignores it, and `unzip -p FILE.tflite contract.json` shows it.
"""

import io
import json
import zipfile

from mnist_edge.safety import files

_MEMBER = "contract.json"
# Of 65,536 classes it is 13 MB where names are long.
_MOST_BYTES = 2**24


def embed(content, format, contract):
    """Puts a contract into an artifact.

    Args:
        content: The artifact's bytes.
        format: "tflite" or "onnx".
        contract: dict that JSON can hold.

    Returns:
        bytes.
    """
    return _EMBED[format](content, contract)


def _embed_tflite(content, contract):
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        # ZipInfo's default date is a constant: the same model gives the same bytes.
        text = json.dumps(contract, separators=(",", ":"))
        archive.writestr(zipfile.ZipInfo(_MEMBER), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _embed_onnx(content, contract):
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {key: json.dumps(v) for key, v in contract.items()})
    return model.SerializeToString(deterministic=True)


_EMBED = {"tflite": _embed_tflite, "onnx": _embed_onnx}


def read(path):
    """Reads the contract of an artifact.

    Args:
        path: A `.tflite` or `.onnx` file.

    Returns:
        dict, empty where the file carries none; what other tools wrote into an ONNX
        file's metadata is in it as text.

    Raises:
        Exception: Whatever the parser stumbles on in a damaged file.
    """
    if path.suffix == ".tflite":
        if not zipfile.is_zipfile(path):
            return {}
        with files.open_zip(path) as archive:
            return _read_member(archive) if _MEMBER in archive.namelist() else {}
    import onnx

    props = onnx.load(path, load_external_data=False).metadata_props
    return {prop.key: _value(prop.value) for prop in props}


def _read_member(archive):
    info = archive.getinfo(_MEMBER)
    if info.file_size > _MOST_BYTES:
        raise ValueError(f"a {_MEMBER} that unpacks to {info.file_size:,} bytes")
    with files.open_member(archive, info) as member:
        carried = json.loads(member.read())
    if not isinstance(carried, dict):
        raise ValueError(f"a {_MEMBER} that holds no object")
    return carried


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
