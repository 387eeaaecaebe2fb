"""The pictures of a result; skipped, and said so, where Matplotlib is not installed."""

import numpy as np

from mnist_edge import bundle, drawing

from . import robustness
from .recommend import name

FILES = {bundle.BENCHMARK_PICTURE, bundle.DISAGREEMENTS_PICTURE, bundle.ROBUSTNESS_PICTURE}
_MOST_DRAWN = 40  # disagreeing images: more than that is a broken artifact, and seen in the table
_DPI = 150


def draw(result, read, folder):
    """Draws what the result has to show.

    Args:
        result: What `judge` returns.
        read: The run's `bundles.Bundle`s.
        folder: Where the pictures go.

    Returns:
        list of str: what was not drawn and why, a line each.
    """
    if not drawing.available():
        return ["no pictures: Matplotlib is not installed"]
    left_out = []
    points = [row for row in result["rows"] if "accuracy" in row and row["latency"]]
    if points:
        _scatter(result, points, folder / bundle.BENCHMARK_PICTURE)
    tiles, count = _tiles(result, read)
    if tiles:
        _disagreements(tiles, count, folder / bundle.DISAGREEMENTS_PICTURE)
    elif count:
        left_out.append("no picture of disagreements: the examples are no images")
    if result["robustness"] and result["robustness"]["rows"]:
        _robustness(result, read, folder / bundle.ROBUSTNESS_PICTURE)
    return left_out


def _scatter(result, points, path):
    """Accuracy against latency, size as area, names on the points."""
    several = len(result["bundles"]) > 1
    figure = drawing.blank(12, 8.5)
    axes = figure.subplots()
    largest = max(row["size_bytes"] for row in points)
    labels = list(dict.fromkeys(row["bundle"] for row in points))
    x, y, areas = [], [], []
    for row in points:
        x.append(row["latency"][0]["p50_us"])
        y.append(100 * row["accuracy"])
        color = f"C{labels.index(row['bundle'])}"
        # Area is in points squared: 900 is a disc of half an inch.
        areas.append(30 + 900 * row["size_bytes"] / largest)
        axes.scatter(x[-1], y[-1], s=areas[-1], color=color, alpha=0.4)
        axes.scatter(x[-1], y[-1], s=6, color="black", zorder=3)
        # Without its interval, a difference of three images in 10,000 would look like one.
        ends = [100 * end for end in row["accuracy_interval"]]
        axes.plot([x[-1]] * 2, ends, color=color, linewidth=0.8, alpha=0.5)
    axes.set_xscale("log")
    axes.margins(0.15)
    axes.set_xlabel("median of a call at batch 1, µs (logarithmic)")
    axes.set_ylabel("accuracy on the test set, %")
    threads = points[0]["latency"][0]["threads"]
    axes.set_title(
        f"Accuracy against latency, threads: {threads}; bar: 95 % interval; area: size, the "
        f"largest {largest / 1000:,.0f} kB"
    )
    axes.grid(alpha=0.3)
    label_points(axes, x, y, areas, [drawing.plain(name(row, several)) for row in points])
    figure.savefig(path, dpi=_DPI)


def label_points(axes, x, y, areas, names):
    """Puts each name as near its point as leaves names and discs apart, with a line to it.

    Args:
        axes: What the points are drawn on.
        x: The points' places, in data units.
        y: As `x`.
        areas: The discs' areas, points squared.
        names: The points' names; an empty one is only kept clear of the others.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()  # settles the layout, which the places below depend on
    frame, centers = axes.get_window_extent(), axes.transData.transform(np.column_stack([x, y]))
    # Half of a disc's diameter, in pixels, as the side of a box that mostly covers it.
    reaches = 0.8 * np.sqrt(np.asarray(areas) / np.pi) * axes.figure.dpi / 72
    taken = [
        Bbox([center - reach, center + reach])
        for center, reach in zip(centers, reaches, strict=True)
    ]
    for index in np.argsort(x):
        if not names[index]:
            continue
        for dx, dy in _OFFSETS:
            label = axes.annotate(
                names[index],
                (x[index], y[index]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                va="center",
                fontsize=9,
                arrowprops={"arrowstyle": "-", "color": "gray", "linewidth": 0.6},
                bbox={"boxstyle": "round,pad=0.1", "color": "white", "alpha": 0.7},
                in_layout=False,
            )
            label.update_positions(canvas.get_renderer())
            box = Text.get_window_extent(label).padded(2)  # the text's, without the line's
            hidden = any(map(box.overlaps, taken))
            if not hidden and frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1):
                break
            label.remove()
        else:
            axes.add_artist(label)  # no free place: the last one tried
        taken.append(box)


# Places of a name about its point, in points, nearest first.
_OFFSETS = [
    (side * reach, rise)
    for reach in (14, 30, 60, 100)
    for rise in (0, 14, -14, 28, -28, 42, -42, 60, -60, 80, -80, 100, -100, 120, -120)
    for side in (1, -1)
]


def _tiles(result, read):
    """`([(image, title)], count)`: what to draw, and how many images disagree at all."""
    given = {one.label: one for one in read}
    answers = {}
    for row in result["rows"]:
        found = row.get("disagreements", {"indices": [], "choices": []})
        for index, choice in zip(found["indices"], found["choices"], strict=True):
            answers.setdefault((row["bundle"], index), {})[row["variant"]] = choice
    images = sorted(answers)
    tiles = []
    for place in robustness.spaced(len(images), _MOST_DRAWN):
        label, index = images[place]
        one = given[label]
        picture = _as_picture(one.images[index])
        if picture is None:
            return [], len(images)
        lines = [f"image {index} is {one.labels[index]}", f"keras: {one.reference[index].argmax()}"]
        lines += [f"{variant}: {choice}" for variant, choice in answers[label, index].items()]
        title = "\n".join([label, *lines] if len(read) > 1 else lines)
        tiles.append((picture, drawing.plain(title)))
    return tiles, len(images)


def _as_picture(image):
    """An example as Matplotlib draws it; None where it is no gray or color image."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    return image.clip(0, 255).astype(np.uint8) if is_picture else None


def _disagreements(tiles, count, path):
    """The images on which an artifact and Keras disagree, with both answers."""
    columns = min(8, len(tiles))
    lines = -(-len(tiles) // columns)
    tallest = max(title.count("\n") for _, title in tiles) + 1
    figure = drawing.blank(max(5, 1.9 * columns), lines * (1.3 + 0.14 * tallest) + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (image, title) in zip(grid.flat, tiles, strict=False):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(title, fontsize=7, loc="left")
    drawn = "" if len(tiles) == count else f" ({len(tiles)} of them drawn)"
    figure.suptitle(f"{count} test images on which an artifact and Keras disagree{drawn}")
    figure.savefig(path, dpi=_DPI)


def _robustness(result, read, path):
    """A row an artifact, a column a distortion, with an example of each above."""
    found, several = result["robustness"], len(read) > 1
    distortions = list(robustness.DISTORTIONS)
    figure = drawing.blank(15, 2.4 + 0.36 * len(found["rows"]))
    grid = figure.add_gridspec(2, len(distortions), height_ratios=[1.2, 0.36 * len(found["rows"])])
    for column, distortion in enumerate(distortions):
        axes = figure.add_subplot(grid[0, column])
        axes.axis("off")
        image = _as_picture(robustness.distort(read[0].images[:1], distortion)[0])
        if image is not None:
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axes = figure.add_subplot(grid[1, :])
    shares = np.array([[row["accuracy"][d] for d in distortions] for row in found["rows"]])
    axes.imshow(shares, cmap="cividis", vmin=0.5, vmax=1, aspect="auto", alpha=0.6)
    axes.set_xticks(range(len(distortions)), distortions)
    axes.set_yticks(
        range(len(shares)), [drawing.plain(name(row, several)) for row in found["rows"]]
    )
    for line, column in np.ndindex(shares.shape):
        axes.text(column, line, f"{100 * shares[line, column]:.1f}", ha="center", va="center")
    figure.suptitle("Accuracy, %, on distorted test images")
    figure.savefig(path, dpi=_DPI)
