"""The commands by one name: `mnist-edge train`, or `python -m mnist_edge train`."""

import importlib
import importlib.util
import sys

from mnist_edge import cli
from mnist_edge.safety import supervise

# By subcommand: its module, what it does, and whether it opens models in this very process
# and is therefore run in a watched child.
COMMANDS = {
    "train": ("mnist_edge.train", "train a model of the zoo", True),
    "evaluate": ("mnist_edge.evaluate", "evaluate a bundle's Keras model", True),
    "predict": ("mnist_edge.predict", "read digits in pictures", True),
    "export": ("mnist_edge.export.__main__", "export a model to TFLite and ONNX", True),
    "audit": ("mnist_edge.export.audit", "say what an artifact holds", False),
    "benchmark": ("mnist_edge.benchmarks.__main__", "check and time every artifact", False),
    "compare": ("mnist_edge.benchmarks.compare", "name what got worse between two runs", False),
    "selftest": ("mnist_edge.benchmarks.selftest", "check artifacts on this device", False),
    "soak": ("mnist_edge.benchmarks.soak", "run artifacts for a long time", False),
}


def _import(name: str) -> object:
    """A command's module; in a checkout that is not installed its folder is at the top."""
    package = ".".join(name.split(".")[:2])
    if importlib.util.find_spec(package) is None:
        name = name.removeprefix("mnist_edge.")
    return importlib.import_module(name)


def _usage() -> str:
    lines = [f"  {name:<10} {summary}" for name, (_, summary, _) in COMMANDS.items()]
    return (
        "usage: mnist-edge COMMAND ...\n\n"
        + "\n".join(lines)
        + "\n\nMore: mnist-edge COMMAND --help"
    )


def main() -> int:
    """Runs the subcommand that `sys.argv` names; returns the exit status."""
    command, *argv = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(_usage())
        return cli.OK
    if command not in COMMANDS:
        print(
            f"error: the command must be one of {', '.join(COMMANDS)}. "
            f"Got: {cli.one_line(command, 40)}. Run: mnist-edge --help",
            file=sys.stderr,
        )
        return cli.BAD_INPUT
    name, _, is_watched = COMMANDS[command]
    cli.program = f"mnist-edge {command}"
    run = _import(name).main
    return supervise.run(lambda: run(argv)) if is_watched else run(argv)


if __name__ == "__main__":
    sys.exit(main())
