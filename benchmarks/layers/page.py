"""A report as one self-contained HTML page, without scripts."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np

from mnist_edge import cli

from . import falls, table
from .compare import Drawn
from .records import LayerReport, LayerResult

# Full width of a bar, in decibels: the resolution of 8, 16 and 32 bits, rounded up.
_WIDTHS_DB = (60, 90, 150)
_ORANGE = np.array([255, 140, 0])

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0;
  --page: #fcfcfd; --good: #3a7bd5; --bad: #d13415; --box: #f0f4fa; --badbox: #fdf0ec; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a4a9b3; --line: #3a3f45;
  --page: #16181a; --good: #6ba5f2; --bad: #ff7a5c; --box: #1e2630; --badbox: #361d17; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 64rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); font-size: .875rem; }
.verdict { background: var(--box); border-left: 4px solid var(--good); padding: .75rem 1rem;
  margin: 1rem 0; } .verdict.bad { background: var(--badbox); border-color: var(--bad); }
.bars { display: grid; grid-template-columns: minmax(6rem, auto) 1fr 4.5rem; gap: .15rem .75rem;
  align-items: center; font-size: .875rem; }
.bars svg { width: 100%; height: .9rem; } .bars b { color: var(--bad); }
.bars > :nth-child(3n) { text-align: right; font-variant-numeric: tabular-nums; }
.track { fill: var(--line); opacity: .4; } .bar { fill: var(--good); }
.bar.bad { fill: var(--bad); } .all { fill: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .8125rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; } .number { text-align: right; font-variant-numeric: tabular-nums; }
tr.bad td { color: var(--bad); font-weight: 600; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
  gap: 1rem; } figure { margin: 0; } figcaption { font-size: .875rem; }
figure div { display: grid; grid-template-columns: repeat(3, 1fr); gap: .25rem; }
img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
"""


def file_name(report: LayerReport) -> str:
    """Returns the name of a report's page in the bundle."""
    return f"layers-{report.variant}.html"


def render(drawn: Drawn) -> str:
    """Returns the page of a report; names, which a stranger may have chosen, are escaped."""
    report = drawn.report
    title = _text(f"{report.variant} against Keras, layer by layer")
    bad = " bad" if report.fall else ""
    sections = [
        f"<h1>{title}</h1>",
        f'<p class="soft">{_text(report.bundle)}: {report.images} test images, '
        f"{_text(report.runtime)}</p>",
        f'<div class="verdict{bad}">{_text(_sentence(table.verdict(report)))}</div>',
        _chart(report),
        _pictures(drawn),
        _table(report),
        *(f'<p class="soft">{_text(_sentence(note))}</p>' for note in table.notes(report)),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n" + "\n".join(sections) + "\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(cli.printable(value))


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:] + "."


def _is_bad(report: LayerReport, one: LayerResult) -> bool:
    return report.fall is not None and report.fall.layer == one.layer


def _chart(report: LayerReport) -> str:
    """Draws a bar per layer: the ratio by channel, and a tick at that of all values."""
    judged = [max(0.0, falls.quality(report.layers, i)) for i in range(len(report.layers))]
    ratios = [max(0.0, one.snr_db) for one in report.layers]
    most = next((w for w in _WIDTHS_DB if w >= max(judged + ratios, default=0)), _WIDTHS_DB[-1])
    rows = []
    for one, got, whole in zip(report.layers, judged, ratios, strict=True):
        is_bad = _is_bad(report, one)
        name = f"<b>{_text(one.layer)} ▸</b>" if is_bad else f"<span>{_text(one.layer)}</span>"
        rows.append(
            f'{name}<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
            f'aria-label="{got:.1f} dB"><rect class="track" width="100" height="10"/>'
            f'<rect class="bar{" bad" * is_bad}" width="{100 * got / most:.2f}" height="10"/>'
            f'<rect class="all" x="{min(99.5, 100 * whole / most):.2f}" width=".5" height="10"/>'
            f"</svg><span>{got:.1f} dB</span>"
        )
    return (
        '<h2>Signal-to-noise ratio</h2>\n<p class="soft">Keras\'s values over the difference. Bar: '
        "mean over channels, each relative to its own signal; for the output, all values. Tick: "
        f"all values. Full width: {most} dB.</p>\n"
        f'<div class="bars">{"".join(rows)}</div>'
    )


def _pictures(drawn: Drawn) -> str:
    if not drawn.pictures:
        return ""
    figures = []
    for i, (expected, got) in drawn.pictures.items():
        one = drawn.report.layers[i]
        low, high = float(expected.min()), float(expected.max())
        range_ = high - low or 1.0
        shades = [np.clip((v - low) / range_, 0, 1)[..., None] for v in (expected, got)]
        difference = np.clip(np.abs(got - expected) / range_, 0, 1)[..., None]
        images = [_image(shade * 255) for shade in shades] + [_image(difference * _ORANGE)]
        figures.append(
            f"<figure><div>{''.join(images)}</div><figcaption>{_text(one.layer)}, "
            f"channel {one.worst_channel}</figcaption></figure>"
        )
    return (
        '<h2>Worst channels</h2>\n<p class="soft">Keras, the artifact, and their difference '
        "(black: none, orange: the channel's whole range), for the first image.</p>\n"
        f'<div class="pictures">{"".join(figures)}</div>'
    )


def _image(pixels: np.ndarray) -> str:
    """Returns an image element of `[height, width, 1 or 3]`, 0 to 255."""
    with cli.needing("benchmarks"):
        from PIL import Image

    finite = np.nan_to_num(pixels, nan=255.0)
    rgb = np.broadcast_to(finite, (*finite.shape[:2], 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "png")
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{content}">'


def _table(report: LayerReport) -> str:
    classes = [' class="number"' if is_numeric else "" for _, is_numeric, _ in table.COLUMNS]
    head = _row("th", classes, [heading for heading, *_ in table.COLUMNS])
    rows = [
        _row("td", classes, [cell(one) for *_, cell in table.COLUMNS], _is_bad(report, one))
        for one in report.layers
    ]
    return f'<h2>Figures</h2>\n<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _row(tag: str, classes: Sequence[str], cells: Sequence[str], is_bad: bool = False) -> str:
    inner = "".join(
        f"<{tag}{each}>{_text(cell)}</{tag}>" for each, cell in zip(classes, cells, strict=True)
    )
    return f'<tr class="bad">{inner}</tr>' if is_bad else f"<tr>{inner}</tr>"
