"""Measure how quick training is: seconds an epoch against plain `model.fit`.

    python -m mnist_edge.training.speed
    python -m mnist_edge.training.speed --model sprint --against classic

times in turn, round after round in one process: an epoch of `python -m mnist_edge.train`
(its order, distortion and average; no validation), an epoch of Keras's `model.fit` on the
same network and optimizer with images ready as floats and nothing distorted, and as many
steps on one batch that lies in memory, undistorted: arithmetic, and Python's call of it;
`--against` adds plain `model.fit` of another network. A machine that is busy is busy for all
of them, and processor seconds hardly tell of it.
"""

import dataclasses
import functools
import itertools
import json
import statistics
import sys
import time

from mnist_edge import backend, cli, data, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.training import loop
from mnist_edge.training.checkpoint import Run

OURS, PLAIN, STEPS = "this project's loop", "plain model.fit", "steps on one batch"


@dataclasses.dataclass(frozen=True)
class SpeedSettings:
    """What to time, and how often."""

    model: str = setting(models.DEFAULT, "network of the zoo", choices=tuple(models.ZOO))
    rounds: int = setting(3, "epochs that are timed of each, after one that is not")
    against: str | None = setting(
        None, "another network, by plain model.fit and its own recipe", choices=tuple(models.ZOO)
    )
    images: int = setting(55_000, "images an epoch, at most MNIST's 60,000")

    def __post_init__(self):
        for name, most in (("rounds", 1_000), ("images", 60_000)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"--{name} must be 1 to {most}. Got: {getattr(self, name)}.")


def measure(settings):
    """Times the three loops in turn.

    Args:
        settings: A `SpeedSettings`.

    Returns:
        A dict: the loop's name to `(seconds an epoch, processor seconds an epoch)`, medians.
    """
    mnist = data.load()
    images = mnist.x_train[: settings.images, ..., None]
    labels = mnist.y_train[: settings.images]

    def recipe_of(name):
        recipe = models.ZOO[name].recipe
        return dataclasses.replace(recipe, epochs=settings.rounds + 1, teacher=None)

    recipe = recipe_of(settings.model)
    loops = {
        OURS: _ours(settings.model, recipe, images, labels),
        PLAIN: _plain(settings.model, recipe, images, labels),
        STEPS: _steps(settings.model, recipe, images, labels),
    }
    if settings.against:
        other = settings.against
        loops[f"{PLAIN} of {other}"] = _plain(other, recipe_of(other), images, labels)
    times = {name: [] for name in loops}
    for _ in range(settings.rounds + 1):
        for name, epoch in loops.items():
            before = time.perf_counter(), time.process_time()
            epoch()
            times[name].append((time.perf_counter() - before[0], time.process_time() - before[1]))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows[1:], strict=True))
        for name, rows in times.items()
    }


def _ours(name, recipe, images, labels):
    model = models.build(name)
    learner = loop.compiled(model, recipe, 0, len(labels))
    examples = {"train": (images, loop.targets(labels, recipe, 10)), "validation": None}
    run = Run()
    return lambda: loop.fit_epoch(learner, recipe, 0, examples, run, {})


def _plain(name, recipe, images, labels):
    model = models.build(name)
    model.compile(loop.optimizer(recipe, len(labels)), recipe.loss, metrics=["accuracy"])
    y = loop.targets(labels, recipe, 10)
    floats = images.astype("float32")
    return lambda: model.fit(floats, y, batch_size=recipe.batch_size[0], verbose=0)


def _steps(name, recipe, images, labels):
    import keras

    bare = dataclasses.replace(recipe, augment=None, average=0.0)
    learner = loop.compiled(models.build(name), bare, 0, len(labels))
    batch = recipe.batch_size[0]
    x = keras.ops.convert_to_tensor(images[:batch].astype("float32"))
    y = keras.ops.convert_to_tensor(loop.targets(labels, recipe, 10)[:batch])

    learner.steps_per_execution = 1
    learner.make_train_function()
    if keras.backend.backend() == "jax":  # whose function takes all variables as well
        step = functools.partial(learner.train_on_batch, x, y)
    else:
        step = functools.partial(learner.train_function, itertools.repeat((x, y)))

    def epoch():
        for _ in range(-(-len(labels) // batch)):
            step()

    return epoch


def table(times):
    """The times as Markdown, and what they come to in a line.

    Args:
        times: As `measure` returns them.
    """
    lines = ["| loop | s an epoch | processor s | share |", "| --- | --: | --: | --: |"]
    for name, (wall, processor) in times.items():
        share = wall / times[OURS][0]
        lines.append(f"| {name} | {wall:.2f} | {processor:.2f} | {share:.0%} |")
    return "\n".join(lines)


@cli.command
def main(argv=None):
    """Parses `argv`, measures, prints the table; returns the exit status."""
    settings = cli.parse_settings(SpeedSettings, __doc__, argv)
    keras = backend.start_keras()
    times = measure(settings)
    print(table(times))
    ours, plain, steps = (times[name] for name in (OURS, PLAIN, STEPS))
    result = {
        "model": settings.model,
        "backend": keras.backend.backend(),
        "epoch_s": round(ours[0], 3),
        "ratio": round(ours[0] / plain[0], 3),
        "arithmetic_share": round(steps[0] / ours[0], 3),
        "processor_ratio": round(ours[1] / plain[1], 3),
        "processor_arithmetic_share": round(steps[1] / ours[1], 3),
    }
    if settings.against:
        other = times[f"{PLAIN} of {settings.against}"]
        result |= {
            "against": settings.against,
            "against_ratio": round(ours[0] / other[0], 3),
            "against_processor_ratio": round(ours[1] / other[1], 3),
        }
    print(json.dumps(result))
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
