"""Export a model: make every artifact, then write all files, or none."""

import dataclasses
import importlib
import math
import platform
import sys
from importlib.metadata import version

import numpy as np
import tqdm

import mnist_edge
from mnist_edge import backend, bundle, cli, data, expect, lock
from mnist_edge import manifest as manifests
from mnist_edge.data import npz
from mnist_edge.errors import GateError, InputError
from mnist_edge.safety import scratch

from . import source as sources
from .artifact import Maker
from .settings import ExportSettings
from .variants import KNOWN, VARIANTS

# What an earlier manifest must hold to say of which model a folder's artifacts are.
_LISTED = {"model": {"sha256": expect.TEXT}, "artifacts": [{"variant": expect.TEXT}]}
# What `summary` tells of an artifact that is kept.
_OPERATORS = expect.Kind(
    "operators, counted by kind",
    lambda value: (
        isinstance(value, dict)
        and len(value) > 0
        and all(map(expect.TEXT.test, value))
        and all(map(expect.POSITIVE.test, value.values()))
    ),
)
_SUMMARISED = {"inputs": ({"dtype": expect.NAME},), "audit": {"operators": _OPERATORS}}
_PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy")
# By format, what converts and checks its files.
_MODULES = {
    "tflite": ("tensorflow", "ai_edge_litert.interpreter"),
    "onnx": ("tensorflow", "tf2onnx", "onnx", "onnxsim", "onnxruntime.quantization"),
}


def export(settings, report=print):
    """Exports a model's variants into a bundle.

    Args:
        settings: An `ExportSettings`.
        report: Called with a line as each artifact is made.

    Returns:
        The manifest, a dict.

    Raises:
        InputError: The model or the data can't be used.
        GateError: An artifact is not what it should be; nothing is written.
    """
    bundle.refuse_foreign(settings.folder, settings.source)
    with lock.held(settings.folder, *([] if settings.foreign else [settings.source])):
        return _export(settings, report)


def _export(settings, report):
    if settings.foreign:
        source = sources.open_model(settings.source, settings.data, settings.allow_h5)
        report(cli.printable(sources.range_remark(source)))
    else:
        source = sources.open_bundle(settings.source, settings.data)
    stale = _stale(settings.folder, source)
    settings = _with_stale(settings, stale)
    _import_packages({VARIANTS[name].format for name in settings.variants})
    golden_images, golden_labels = _golden_images(source)
    made, rescues, breaches = {}, [], []
    with bundle.staged(settings.folder) as stage, scratch.folder() as work:
        maker = Maker(source, settings, golden_images, work)
        shown = cli.visible_stderr()
        for name in tqdm.tqdm(settings.variants, "variants", leave=False, disable=None, file=shown):
            one = maker.make(VARIANTS[name])
            if one.breaches and settings.rescue and one.variant.quantized:
                report(f"{name} breaches the gate: {'; '.join(one.breaches)}")
                one, attempts = _rescue(maker, one, report)
                rescues.append({"variant": name, "given": one.variant.name, "attempts": attempts})
            breaches += [f"{one.variant.name} {breach}" for breach in one.breaches]
            if one.variant.name not in made:
                report(_line(one))
            made[one.variant.name] = one
        if breaches:
            raise GateError("\n".join(breaches))
        for one in made.values():
            (stage / one.variant.file).write_bytes(one.content)
        if settings.folder / bundle.MODEL != source.path:
            sources.copy_model(source, stage)
        _write_reference(stage, source)
        kept = _kept(settings.folder, source, made)
        _write_golden(stage / bundle.GOLDEN, source, golden_images, golden_labels, made, kept)
        manifest = _manifest(source, stage, made, kept, rescues)
        bundle.write_json(stage / bundle.MANIFEST, manifest)
    for name in {*settings.variants, *stale} - set(made):  # rescued under another name, or stale
        (settings.folder / KNOWN[name].file).unlink(missing_ok=True)
    return manifest


def _import_packages(formats: set[str]) -> None:
    """Raises `InputError` where a package that a format needs can't be imported."""
    for module in sorted({module for format in formats for module in _MODULES[format]}):
        with cli.native_logs_held():
            try:
                importlib.import_module(module)
            except Exception as error:  # a library that is missing, too little memory, anything
                raise InputError(
                    f"{module} must be there to export, and be importable. "
                    f"Got: {cli.in_words(error)}. Install 'mnist-edge[export]'."
                ) from error


def _with_stale(settings, stale):
    """Settings that remake what the folder holds of another model too, where that is asked for.

    Raises:
        InputError: The folder holds artifacts of another model, and they would stay.
    """
    stale = [name for name in stale if name in VARIANTS and name not in settings.variants]
    if stale and not settings.force:
        raise InputError(
            f"{settings.folder} holds artifacts of another model, or of this one before it was "
            f"trained again: {', '.join(stale)}. Remake them too by --force, or give another "
            "folder by --output."
        )
    return dataclasses.replace(settings, variants=(*settings.variants, *stale))


def _stale(folder, source):
    """Names of the artifacts that a manifest lists of another model than `source`'s."""
    try:
        old = bundle.read_json(folder / bundle.MANIFEST, (), "")
    except (InputError, OSError):
        return []  # no earlier export
    if expect.mismatch(old, _LISTED) or old["model"]["sha256"] == source.sha256:
        return []
    return [e["variant"] for e in old["artifacts"] if e["variant"] in KNOWN]


def _golden_images(source: sources.Source) -> tuple[np.ndarray, np.ndarray]:
    """The first test image of each class, as the model takes it, and their labels.

    Of as many classes as leave a file that the self-test reads, with all artifacts' answers.
    """
    labels, first = np.unique(source.dataset.y_test, return_index=True)
    answers = len(source.labels) * (len(KNOWN) + 1)
    room = manifests.MOST_GOLDEN_BYTES - (len(KNOWN) + 3) * npz.HEADER_BYTES
    most = max(1, room // (4 * (math.prod(source.shape) + answers)))
    labels, first = labels[:most], first[:most]
    return data.as_inputs(source.dataset.x_test[first], source.shape), labels


def _rescue(maker, breached, report):
    """The artifact that passes, or the one that breached; and the attempts' records."""
    records = []
    for attempt, made in maker.rescue(breached.variant):
        passed = bool(made and not made.breaches)
        records.append(
            {
                "step": attempt.step,
                "variant": made.variant.name if made else None,
                "agreement": made.agreement if made else None,
                "passed": passed,
                "remark": attempt.remark,
            }
        )
        outcome = attempt.remark
        if made:
            outcome = f"agreement {made.agreement:.1%}, " + ("passed" if passed else "not enough")
        report(f"  rescue of {breached.variant.name}: {attempt.step}: {outcome}")
        if passed:
            return made, records
    return breached, records


def _line(made):
    size_kb = made.entry["size_bytes"] / 1000
    state = ", ".join(["BREACH" if made.breaches else "ok", *made.remarks])
    return (
        f"{made.variant.file:<26} {size_kb:8.1f} kB  agreement {made.agreement:7.2%}  "
        f"{made.seconds:5.1f} s  {state}"
    )


def _write_reference(stage, source):
    inputs = data.as_inputs(source.dataset.x_test, source.shape)
    np.savez_compressed(stage / bundle.REFERENCE, probabilities=source.predict(inputs))


def _write_golden(path, source, images, labels, made, kept):
    """What a device must compute: `python -m benchmarks.selftest` compares with it."""
    expected = {one.variant.name: one.golden for one in made.values()}
    for entry, golden in kept:
        expected[entry["variant"]] = golden
    np.savez_compressed(
        path, images=images, labels=labels, keras=source.predict(images), **expected
    )


def _kept(folder, source, made):
    """Artifacts of an earlier export that still stand beside those that were made.

    Returns:
        list of `(entry, golden)`: of the same model and data, whole, and not made anew.
    """
    try:
        old = manifests.read(folder, ("model", "data", "golden", "artifacts"), "")
        if (old["model"]["sha256"], old["data"]) != (source.sha256, source.data_record()):
            return []
        whole = [
            entry
            for entry in old["artifacts"]
            if entry["variant"] in set(KNOWN) - set(made)
            and entry["file"] == KNOWN[entry["variant"]].file
            and not expect.mismatch(entry, _SUMMARISED)
            and not manifests.damage(folder / entry["file"], entry)
        ]
        if not whole or manifests.damage(folder / bundle.GOLDEN, old["golden"]):
            return []
        names = [entry["variant"] for entry in whole]
        golden = npz.read(folder / bundle.GOLDEN, names, manifests.MOST_GOLDEN_BYTES)
    except (InputError, OSError):
        return []  # no earlier export, or none that can be told whole
    return [(entry, golden[entry["variant"]]) for entry in whole]


def _manifest(source, stage, made, kept, rescues):
    entries = [one.entry for one in made.values()] + [entry for entry, _ in kept]
    order = list(KNOWN)
    return {
        "schema": 2,
        "project": bundle.PROJECT,
        "model": {
            "name": source.name,
            "file": bundle.MODEL,
            "sha256": source.sha256,
            "size_bytes": source.path.stat().st_size,
            "input_shape": list(source.shape),
            "classes": len(source.labels),
            "softmax_added": source.softmax_added,
        },
        "data": source.data_record(),
        "reference": _file_record(stage / bundle.REFERENCE),
        "golden": _file_record(stage / bundle.GOLDEN),
        "artifacts": sorted(entries, key=lambda entry: order.index(entry["variant"])),
        "rescues": rescues,
        "versions": {
            "mnist-edge": mnist_edge.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }


def _file_record(path):
    return {"file": path.name, "sha256": bundle.sha256_file(path)}


def summary(manifest):
    """What was exported, a line an artifact and one of heads."""
    lines = [f"{'artifact':<20} {'kB':>8}  {'in':<8} {'operators'}"]
    for entry in manifest["artifacts"]:
        operators = entry["audit"]["operators"]
        total = sum(operators.values())
        shares = ", ".join(f"{100 * n / total:.0f} % {kind}" for kind, n in operators.items())
        lines.append(
            f"{entry['variant']:<20} {entry['size_bytes'] / 1000:8.1f}  "
            f"{entry['inputs'][0]['dtype']:<8} {shares}"
        )
    return "\n".join(lines)


def run(settings):
    """Exports as a command: prints lines and a table, returns the exit status."""
    backend.start_keras()
    backend.require(("tensorflow",), "export")
    try:
        manifest = export(settings, report=tqdm.tqdm.write)
    except GateError as error:
        for line in str(error).split("\n"):
            print(f"error: {line}.", file=sys.stderr)
        remedy = "" if settings.rescue else " Try --rescue, or leave them out by --variants."
        print(f"error: nothing was written.{remedy}", file=sys.stderr)
        return cli.GATE_FAILED
    print(f"\n{summary(manifest)}\n\nwritten: {cli.printable(settings.folder)}")
    return cli.OK


def main_for(format, description, argv):
    """The command of one format's script; returns the exit status."""
    precisions = [v.precision for v in VARIANTS.values() if v.format == format]
    parser = cli.settings_parser(
        ExportSettings, description, positional=["source"], without=["variants"]
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=precisions,
        default=precisions,
        help=f"which to make (default: {' '.join(precisions)})",
    )
    values = vars(parser.parse_args(argv))
    chosen = tuple(f"{format}-{precision}" for precision in values.pop("precision"))
    return run(ExportSettings(variants=chosen, **values))
