"""Command-line entry point: `mnist-edge COMMAND` or `python -m mnist_edge COMMAND`."""

import sys

import mnist_edge
from mnist_edge import cli
from mnist_edge.errors import did_you_mean
from mnist_edge.safety import supervise

# Subcommand -> (module, summary, whether it opens models in its own process and therefore
# runs in a supervised child process).
COMMANDS = {
    "train": ("train", "train a model of the zoo", True),
    "evaluate": ("evaluate", "evaluate a bundle's Keras model", True),
    "predict": ("predict", "read digits in pictures", True),
    "export": ("export.__main__", "export a model to TFLite and ONNX", True),
    "audit": ("export.audit", "show what an artifact contains", False),
    "web": ("export.to_web", "write a web page with the model inside", True),
    "benchmark": ("benchmarks.__main__", "check and time every artifact", False),
    "layers": ("benchmarks.layers.__main__", "compare artifacts with Keras layer by layer", False),
    "microcontroller": (
        *("benchmarks.microcontroller.__main__", "measure the C file on emulated Cortex-M cores"),
        False,
    ),
    "browser": ("benchmarks.browser.__main__", "measure artifacts in headless Chromium", False),
    "compare": ("benchmarks.compare", "report regressions between two runs", False),
    "selftest": ("benchmarks.selftest", "check artifacts on this device", False),
    "soak": ("benchmarks.soak", "run artifacts for a long time", False),
}


def _usage() -> str:
    lines = [f"  {name:<15} {summary}" for name, (_, summary, _) in COMMANDS.items()]
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
    if command == "--version":
        print(f"mnist-edge {mnist_edge.__version__}")
        return cli.OK
    if command not in COMMANDS:
        print(
            f"error: the command must be one of {', '.join(COMMANDS)}. "
            f"Got: {cli.one_line(command, 40)}. "
            f"{did_you_mean(command, COMMANDS) or 'Run: mnist-edge --help'}",
            file=sys.stderr,
        )
        return cli.BAD_INPUT
    name, _, is_supervised = COMMANDS[command]
    cli.program = f"mnist-edge {command}"
    run = mnist_edge.import_module(name).main
    return supervise.run(lambda: run(argv)) if is_supervised else run(argv)


if __name__ == "__main__":
    sys.exit(main())
