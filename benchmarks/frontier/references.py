"""The five MNIST projects that this one takes in, and what each network reaches here.

    python -m benchmarks.frontier.references --seeds 0 1 2

trains every network of the zoo by its own recipe, once a seed, writes each run into
`benchmarks/frontier/records.json` as it ends, goes on where it stopped, and prints the README's
table. `--table` prints the table from the record alone.
"""

import dataclasses
import sys

from mnist_edge import backend, cli, models, train
from mnist_edge.safety import scratch
from mnist_edge.training.settings import TrainSettings

from . import records


@dataclasses.dataclass(frozen=True)
class Reference:
    """One of the five projects.

    Attributes:
        letter: How this project calls it.
        network: What it says of its network.
        published: Its accuracy on the test set, a share; None where it gives none.
        model: The row of the zoo that is its network.
    """

    letter: str
    network: str
    published: float | None
    model: str


# Where a project does not give filters or epochs, the zoo's row has usual ones.
REFERENCES = (
    Reference("A", "two Conv2D with ReLU, Flatten, softmax", 0.95, "conv-conv"),
    Reference("B", "Conv2D and MaxPooling2D, Flatten, Dense", 0.99, "conv-pool-conv-pool"),
    Reference("C", "several Conv2D, MaxPooling, dense", 0.98, "conv-pool-thrice"),
    Reference("D", "121,930 parameters, 10 epochs, batch 64", 0.9891, "classic"),
    Reference("E, first", "convolution and pooling in turn", None, "conv-pool-conv-pool"),
    Reference("E, second", "convolutions, then pooling", None, "conv-conv-pool"),
)


def reference_table():
    """The README's table of references, Markdown."""
    record = records.load()
    lines = [
        "| reference | its network | published | here, by its own recipe | command |",
        "| --- | --- | --: | --: | --- |",
    ]
    for reference in REFERENCES:
        published = f"{100 * reference.published:g} %" if reference.published else "none given"
        lines.append(
            f"| {reference.letter} | {reference.network} | {published} | "
            f"{records.accuracy_words(records.runs_of(record, reference.model))} | "
            f"`python -m mnist_edge.train --model {reference.model}` |"
        )
    return "\n".join(lines)


def run(names, seeds):
    """Trains what is not yet on record, and records each run as it ends.

    Args:
        names: Names of the zoo.
        seeds: ints.
    """
    for name in names:
        for seed in seeds:
            runs = records.runs_of(records.load(), name)
            if seed in [done["seed"] for done in runs]:
                continue
            with scratch.folder() as folder:
                output = folder / name  # train refuses a folder that holds what is not its own
                trained = train.train(
                    TrainSettings(model=name, seed=seed, full=True, output=output, quiet=True)
                )
            records.add_run(name, trained)
            print(f"{name} seed {seed}: {trained['metrics']['test_accuracy']:.2%}", flush=True)


@cli.command
def main(argv=None):
    """Trains and records, prints the table; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=tuple(models.ZOO),
        default=tuple(models.ZOO),
        help="(default: the whole zoo)",
    )
    parser.add_argument("--table", action="store_true", help="print the table, train nothing")
    arguments = parser.parse_args(argv)
    if not arguments.table:
        backend.start_keras()
        run(arguments.models, arguments.seeds)
    print(reference_table())
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
