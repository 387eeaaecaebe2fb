// Pictures to 28 x 28 pixels in MNIST's style, as mnist_edge/images makes them. The names are those
// of threshold.py, segment.py and normalize.py, which say why; numbers are rounded to 32 bits where
// NumPy rounds them. A picture is {w, h, v}: width, height and values, row by row.

const FIELD = 28, BOX = 20, THINNEST = 1.7, THICKEST = 3, OUTLINE = 100, ROUNDS = 20, TIE = 1e-4;
const LONGEST = 1600, MOST_STROKES = 5000;

const round32 = Math.fround;
const picture = (w, h, v = new Float32Array(w * h)) => ({w, h, v});
const clip = x => Math.min(Math.max(x, 0), 1);
const clipped = p => map(p, clip);
const least = v => v.reduce((a, b) => a < b ? a : b);
const most = v => v.reduce((a, b) => a > b ? a : b);
const shorter = p => Math.min(p.w, p.h);
const total = v => v.reduce((a, b) => a + b, 0);

function map(p, f) {
  const to = picture(p.w, p.h);
  for (let i = 0; i < to.v.length; i++) to.v[i] = f(p.v[i], i);
  return to;
}

function round(x) { // half to even, as Python
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 ? up - 1 : up;
}

function selected(v, k) { // the k-th smallest value (Hoare); reorders v
  for (let from = 0, to = v.length - 1; from < to;) {
    const pivot = v[(from + to) >> 1];
    let i = from, j = to;
    while (i <= j) {
      while (v[i] < pivot) i++;
      while (v[j] > pivot) j--;
      if (i <= j) [v[i++], v[j--]] = [v[j], v[i]];
    }
    if (k <= j) to = j;
    else if (k >= i) from = i;
    else break;
  }
  return v[k];
}

function percentile(values, share) {
  const v = new Float32Array(values), place = share * (v.length - 1), k = Math.floor(place);
  const below = selected(v, k);
  return below + (selected(v, Math.ceil(place)) - below) * (place - k);
}

const median = values => percentile(values, 0.5);

function crop(p, left, top, right, bottom) {
  const to = picture(right - left, bottom - top);
  for (let y = top; y < bottom; y++)
    to.v.set(p.v.subarray(y * p.w + left, y * p.w + right), (y - top) * to.w);
  return to;
}

function padded(p, n, edge) {
  const to = picture(p.w + 2 * n, p.h + 2 * n);
  for (let y = 0, i = 0; y < to.h; y++)
    for (let x = 0; x < to.w; x++, i++) {
      const u = Math.min(Math.max(x - n, 0), p.w - 1), v = Math.min(Math.max(y - n, 0), p.h - 1);
      if (edge || (u === x - n && v === y - n)) to.v[i] = p.v[v * p.w + u];
    }
  return to;
}

// Calls f(start, step, length) for each column, then for each row.
function lines(p, f) {
  for (let x = 0; x < p.w; x++) f(x, p.w, p.h);
  for (let y = 0; y < p.h; y++) f(y * p.w, 1, p.w);
}

function blurred(p, reach) { // running sums of 64 bits, as SciPy's uniform_filter
  return reach ? slid(slid(p, reach, p.w, 1, p.h), reach, 1, p.w, p.w) : p;
}

// Means over 2 * reach + 1 values along one axis: `step` and `length` are the axis's own, and
// `across` is the step of the other.
function slid(p, reach, step, across, length) {
  const to = picture(p.w, p.h), size = 2 * reach + 1, count = to.v.length / length;
  const sums = new Float64Array(count), last = length - 1;
  for (let i = -reach; i <= reach; i++)
    for (let j = 0, at = Math.min(Math.max(i, 0), last) * step; j < count; j++, at += across)
      sums[j] += p.v[at];
  for (let i = 0; i < length; i++) {
    const next = Math.min(i + reach + 1, last) * step, old = Math.max(i - reach, 0) * step;
    for (let j = 0, at = 0; j < count; j++, at += across) {
      to.v[i * step + at] = sums[j] / size;
      sums[j] += p.v[next + at] - p.v[old + at];
    }
  }
  return to;
}

function extreme(p, reach, choose) { // maximum or minimum over squares; 0 outside
  const to = map(p, x => x);
  lines(p, (start, step, length) => {
    const line = new Float32Array(length);
    for (let i = 0; i < length; i++) line[i] = to.v[start + step * i];
    for (let i = 0; i < length; i++) {
      let best = i < reach || i + reach >= length ? choose(line[i], 0) : line[i];
      for (let j = Math.max(0, i - reach); j <= Math.min(length - 1, i + reach); j++)
        best = choose(best, line[j]);
      to.v[start + step * i] = best;
    }
  });
  return to;
}

// Pillow's resampling: columns, then rows. Bytes are added up in whole numbers, as Pillow does.
const sinc = x => x ? Math.sin(x * Math.PI) / (x * Math.PI) : 1;
const BOXES = [0.5, x => x > -0.5 && x <= 0.5 ? 1 : 0];
const LANCZOS = [3, x => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0];
const BILINEAR = [1, x => Math.max(0, 1 - Math.abs(x))];

const known = new Map();

function weights(from, to, filter, bytes) {
  const key = [from, to, filter[0], bytes].join();
  if (!known.has(key)) known.set(key, computed(from, to, filter, bytes));
  return known.get(key);
}

function computed(from, to, [reach, filter], bytes) {
  const scale = from / to, wide = Math.max(scale, 1), support = reach * wide;
  return Array.from({length: to}, (_, i) => {
    const center = (i + 0.5) * scale, first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5)), shares = [];
    for (let x = first; x < last; x++) shares.push(filter((x - center + 0.5) * (1 / wide)));
    const sum = total(shares);
    return [first, shares.map(x => bytes ? round(x / sum * 2 ** 22) : x / sum)];
  });
}

function scaled(p, w, h, filter = LANCZOS, bytes = false) {
  const wide = w === p.w ? p : picture(w, p.h), to = h === p.h ? wide : picture(w, h);
  const finish = sum => bytes ? Math.min(Math.max((sum + 2 ** 21) >> 22, 0), 255) : sum;
  if (wide !== p) weights(p.w, w, filter, bytes).forEach(([first, shares], x) => {
    for (let y = 0; y < p.h; y++) {
      let sum = 0, at = y * p.w + first;
      for (let k = 0; k < shares.length; k++) sum += p.v[at + k] * shares[k];
      wide.v[y * w + x] = finish(sum);
    }
  });
  if (to !== wide) weights(p.h, h, filter, bytes).forEach(([first, shares], y) => {
    for (let x = 0; x < w; x++) {
      let sum = 0, at = first * w + x;
      for (let k = 0; k < shares.length; k++) sum += wide.v[at + k * w] * shares[k];
      to.v[y * w + x] = finish(sum);
    }
  });
  return to;
}

function resized(p, longest) {
  const longer = Math.max(p.w, p.h);
  const [w, h] = [p.w, p.h].map(side => Math.max(1, round(side * longest / longer)));
  let to = scaled(p, w, h);
  if (longest <= longer) return to;
  for (let i = 0; i < ROUNDS; i++) {
    to = clipped(to);
    const again = scaled(to, p.w, p.h, BOXES), error = scaled(map(p, (x, j) => x - again.v[j]), w, h);
    to = map(to, (x, j) => x + error.v[j]);
  }
  return clipped(to);
}

const light = (rgba, i) =>
  (rgba[4 * i] * 19595 + rgba[4 * i + 1] * 38470 + rgba[4 * i + 2] * 7471 + 32768) >> 16;

// Luminance, 0 to 1, of RGBA bytes. What is transparent is put on paper.
export function luminance(rgba, w, h) {
  let gray = picture(w, h), alpha = picture(w, h);
  for (let i = 0; i < w * h; i++) {
    gray.v[i] = light(rgba, i);
    alpha.v[i] = rgba[4 * i + 3];
  }
  const factor = Math.min(1, LONGEST / Math.max(w, h)), opaque = least(alpha.v) === 255;
  if (factor < 1) {
    const size = [w, h].map(side => Math.max(1, round(side * factor)));
    // Pillow multiplies by alpha before it resizes, and divides after.
    const times = x => (x + 128 + ((x + 128) >> 8)) >> 8;
    gray = scaled(map(gray, (x, i) => times(x * alpha.v[i])), ...size, BOXES, true);
    alpha = scaled(alpha, ...size, BOXES, true);
    gray = map(gray, (x, i) => alpha.v[i] ? Math.min(255, Math.trunc(255 * x / alpha.v[i])) : x);
  }
  gray = map(gray, x => x / 255);
  return opaque ? gray : onPaper(gray, map(alpha, x => x / 255));
}

function onPaper(gray, alpha) {
  const opaque = gray.v.filter((_, i) => alpha.v[i] > 0.5);
  if (!opaque.length) return map(gray, () => 1);
  const hasPaper = opaque.length > 0.6 * alpha.v.length
    || percentile(opaque, 0.99) - percentile(opaque, 0.01) > 0.5;
  const paper = hasPaper ? median(opaque) : round(1 - total(opaque) / opaque.length);
  return map(gray, (x, i) => round32(x * alpha.v[i]) + round32(paper * round32(1 - alpha.v[i])));
}

// threshold.py

function contrast(gray) {
  if (isLightOnDark(gray)) {
    const ends = round32(least(gray.v) + most(gray.v));
    gray = map(gray, x => ends - x);
  }
  const under = paper(gray);
  let ink = map(gray, (x, i) => 1 - round32(x / Math.max(under.v[i], round32(0.02))));
  const deviation = noise(ink), smooth = Math.floor(shorter(ink) / 100);
  const smoothed = blurred(ink, smooth), darkest = most(smoothed.v);
  if (darkest < Math.max(0.06, 6 * deviation / (2 * smooth + 1))
    || steepest(smoothed) < 0.35 * darkest) return null;
  if (darkest < 12 * deviation) ink = smoothed;
  return map(ink, x => Math.min(x / darkest, 1));
}

function isLightOnDark(gray) {
  const {small} = thumbnail(gray), {w, h, v} = small, level = 0.05 * (most(v) - least(v));
  const border = [...v.subarray(0, w), ...v.subarray(w * (h - 1))];
  for (let y = 0; y < h; y++) border.push(v[y * w], v[y * w + w - 1]);
  if (percentile(border, 0.9) - percentile(border, 0.1) < level) {
    const middle = median(border);
    return skewness(v.map(x => x - middle)) > 0;
  }
  const around = medians(small, reachOf(0.3, small));
  const apart = (p, sign) => {
    const negated = map(p, x => sign * x), full = filled(negated, 0.12).v;
    return total(Float64Array.from(full, (x, i) => (x - negated.v[i]) ** 2));
  };
  const valleys = apart(small, 1), ridges = apart(small, -1);
  return skewness(v.map((x, i) => x - around.v[i]))
    + (ridges - valleys) / Math.max(ridges + valleys, 1e-9) > 0;
}

function skewness(v) {
  let signed = 0, squared = 0;
  for (const x of v) { signed += x * Math.abs(x); squared += x * x; }
  return signed / Math.max(squared, 1e-9);
}

function medians(p, reach) {
  const size = 2 * reach + 1, wide = padded(p, reach, true), to = picture(p.w, p.h);
  const window = new Float32Array(size * size);
  for (let y = 0, i = 0; y < p.h; y++)
    for (let x = 0; x < p.w; x++, i++) {
      for (let k = 0; k < size; k++)
        window.set(wide.v.subarray((y + k) * wide.w + x, (y + k) * wide.w + x + size), k * size);
      to.v[i] = selected(window, window.length >> 1);
    }
  return to;
}

function paper(gray) {
  const {small, step} = thumbnail(gray), lowest = least(small.v);
  const dark = round32(lowest + round32(0.3) * round32(most(small.v) - lowest));
  const closed = map(filled(small, 0.4), x => Math.max(x, dark)), large = picture(gray.w, gray.h);
  for (let y = 0, i = 0; y < gray.h; y++)
    for (let x = 0; x < gray.w; x++, i++)
      large.v[i] = closed.v[Math.min(Math.floor(y / step), small.h - 1) * small.w
        + Math.min(Math.floor(x / step), small.w - 1)];
  return blurred(large, step);
}

function thumbnail(p) {
  const step = Math.max(1, Math.floor(shorter(p) / 40));
  const small = picture(Math.floor(p.w / step), Math.floor(p.h / step));
  const sums = new Float64Array(small.v.length);
  for (let y = 0; y < small.h * step; y++)
    for (let x = 0; x < small.w * step; x++)
      sums[Math.floor(y / step) * small.w + Math.floor(x / step)] += p.v[y * p.w + x];
  small.v = Float32Array.from(sums, x => x / (step * step));
  return {small, step};
}

const reachOf = (share, p) => Math.max(1, round(share * shorter(p) / 2));

function filled(p, share) {
  const reach = reachOf(share, p), n = 2 * reach;
  const closed = extreme(extreme(padded(p, n, true), reach, Math.max), reach, Math.min);
  return crop(closed, n, n, n + p.w, n + p.h);
}

function steepest(p) {
  const reach = Math.max(1, round(0.05 * shorter(p)));
  let found = 0;
  for (let y = 0, i = 0; y < p.h; y++)
    for (let x = 0; x < p.w; x++, i++) {
      if (y >= reach) found = Math.max(found, Math.abs(p.v[i] - p.v[i - reach * p.w]));
      if (x >= reach) found = Math.max(found, Math.abs(p.v[i] - p.v[i - reach]));
    }
  return found;
}

function noise(p) {
  if (shorter(p) <= 32) return 0;
  const steps = new Float32Array((p.w - 1) * p.h);
  for (let y = 0, i = 0; y < p.h; y++)
    for (let x = 1; x < p.w; x++, i++)
      steps[i] = Math.abs(round32(p.v[y * p.w + x] - p.v[y * p.w + x - 1]));
  return median(steps) / (0.6745 * Math.SQRT2);
}

// segment.py

function strokesOf(ink) {
  const {w, h, v} = ink, level = round32(0.4), found = [], labels = new Int32Array(w * h);
  for (let start = 0; start < v.length; start++) {
    if (v[start] < level || labels[start]) continue;
    const label = found.length + 1, stack = [start];
    const stroke = {label, area: 0, left: w, top: h, right: 0, bottom: 0};
    labels[start] = label;
    while (stack.length) {
      const i = stack.pop(), x = i % w, y = (i - x) / w;
      stroke.area++;
      cover(stroke, x, y);
      for (let b = Math.max(0, y - 1); b <= Math.min(h - 1, y + 1); b++)
        for (let a = Math.max(0, x - 1); a <= Math.min(w - 1, x + 1); a++) {
          const j = b * w + a;
          if (v[j] >= level && !labels[j]) { labels[j] = label; stack.push(j); }
        }
    }
    found.push(stroke);
  }
  const speck = 0.03 * found.reduce((a, b) => Math.max(a, b.area), 0);
  return {strokes: found.filter(stroke => stroke.area >= speck), labels: picture(w, h, labels)};
}

function grow(box, by) {
  box.left = Math.min(box.left, by.left);
  box.top = Math.min(box.top, by.top);
  box.right = Math.max(box.right, by.right);
  box.bottom = Math.max(box.bottom, by.bottom);
  return box;
}

function cover(box, x, y) {
  if (x < box.left) box.left = x;
  if (y < box.top) box.top = y;
  if (x >= box.right) box.right = x + 1;
  if (y >= box.bottom) box.bottom = y + 1;
}

const boxOf = group => group.reduce(grow, {...group[0]});
const rows = box => [box.top, box.bottom], columns = box => [box.left, box.right];
const length = ([from, to]) => to - from;
const byColumns = (a, b) => a.left - b.left || a.right - b.right;

function overlap(one, other) {
  const common = Math.min(one[1], other[1]) - Math.max(one[0], other[0]);
  return common / Math.min(length(one), length(other));
}

function gap(one, other) {
  const apart = (a, b) => Math.max(0, Math.max(a[0], b[0]) - Math.min(a[1], b[1]));
  return apart(rows(one), rows(other)) + apart(columns(one), columns(other));
}

function digitsOf(strokes) {
  const height = Math.max(...strokes.map(stroke => length(rows(stroke))));
  return textLines(strokes, height).map(line => {
    const groups = [];
    for (const stroke of [...line].sort(byColumns)) {
      const last = groups.at(-1);
      if (last && isSameDigit(boxOf(last), stroke, height)) last.push(stroke);
      else groups.push([stroke]);
    }
    return groups.filter(group => length(rows(boxOf(group))) >= 0.3 * height);
  });
}

function textLines(strokes, height) {
  const isTall = stroke => length(rows(stroke)) >= 0.5 * height, found = [];
  for (const stroke of strokes.filter(isTall).sort(byColumns)) {
    const shares = found.map(line => overlap(rows(line.at(-1)), rows(stroke)));
    const best = Math.max(...shares);
    if (best >= 0.5) found[shares.indexOf(best)].push(stroke);
    else found.push([stroke]);
  }
  const whole = found.map(line => [...line]);
  for (const stroke of strokes.filter(stroke => !isTall(stroke))) {
    const gaps = found.map(line => Math.min(...line.map(other => gap(stroke, other))));
    whole[gaps.indexOf(Math.min(...gaps))].push(stroke);
  }
  const middle = line => total(line.map(stroke => stroke.top + stroke.bottom)) / line.length;
  return whole.sort((a, b) => middle(a) - middle(b));
}

function isSameDigit(box, stroke, height) {
  if (overlap(columns(box), columns(stroke)) < 0.5) return false;
  return Math.min(length(rows(box)), length(rows(stroke))) < 0.5 * height
    || overlap(rows(box), rows(stroke)) < 0.5;
}

// normalize.py

// The digits in a picture, in reading order: {pixels, line, box}; `pixels` are 784 bytes.
export function prepare(gray, many) {
  const ink = contrast(gray);
  if (!ink) throw Error("No digit found: nothing contrasts with the paper.");
  const {strokes, labels} = strokesOf(ink);
  if (many && strokes.length > MOST_STROKES) throw Error("Too many strokes. Crop the picture.");
  return (many ? digitsOf(strokes) : [[strokes]]).flatMap((line, i) =>
    line.map(group => ({pixels: asMnist(patch(ink, labels, group)), line: i + 1, box: boxOf(group)})));
}

function patch(ink, labels, group) {
  const box = boxOf(group), own = new Set([0, ...group.map(stroke => stroke.label)]);
  const [cut, marks] = [ink, labels].map(p => crop(p, Math.max(0, box.left - 1),
    Math.max(0, box.top - 1), Math.min(p.w, box.right + 1), Math.min(p.h, box.bottom + 1)));
  return map(cut, (x, i) => own.has(marks.v[i]) ? x : 0);
}

function asMnist(cut) {
  let outline = resized(padded(cut, 2), OUTLINE);
  const half = most(outline.v) / 2, inked = outline.v.filter(x => x > half);
  const full = round32(inked.length ? median(inked) : 1), edge = round32(0.45);
  outline = map(outline, x => clip(round32(round32(round32(x / full) - edge) * 2) + 0.5));
  if (most(outline.v) < 0.5) throw Error("No digit found: the ink vanishes when it is reduced.");
  const small = clipped(resized(cropped(evenStroke(cropped(outline))), BOX));
  const mass = total(small.v), pixels = new Uint8Array(FIELD ** 2);
  const start = (place, side) => {
    const center = small.v.reduce((sum, x, i) => sum + x * place(i), 0) / mass;
    return Math.min(Math.max(round(FIELD / 2 - center - TIE), 0), FIELD - side);
  };
  const left = start(i => i % small.w, small.w), top = start(i => Math.floor(i / small.w), small.h);
  small.v.forEach((x, i) => {
    pixels[(top + Math.floor(i / small.w)) * FIELD + left + i % small.w] = round(round32(x * 255));
  });
  return pixels;
}

function cropped(p) {
  const box = {left: p.w, top: p.h, right: 0, bottom: 0};
  p.v.forEach((value, i) => {
    if (value >= 0.5) cover(box, i % p.w, Math.floor(i / p.w));
  });
  return crop(p, box.left, box.top, box.right, box.bottom);
}

function evenStroke(outline) {
  const unit = Math.max(outline.w, outline.h) / BOX, {w, h, v} = padded(outline, 1);
  let edges = 0;
  for (let y = 1; y < h; y++)
    for (let x = 1; x < w; x++) {
      const i = y * w + x;
      edges += Math.hypot(v[i] - v[i - w], v[i] - v[i - 1]);
    }
  const width = 2 * total(outline.v) / edges;
  const missing = Math.min(Math.max(width, THINNEST * unit), THICKEST * unit) - width;
  const reach = round(Math.abs(missing) / 2);
  const evened = extreme(padded(outline, reach), reach, missing > 0 ? Math.max : Math.min);
  return most(evened.v) >= 0.5 ? evened : outline;
}

// A whole picture, resized: bytes in the layout of a model of h x w x channels.
export function whole(rgba, from, w, h, channels) {
  const planes = Array.from({length: channels}, (_, c) => {
    const plane = picture(...from);
    for (let i = 0; i < plane.v.length; i++)
      plane.v[i] = channels === 3 ? rgba[4 * i + c] : light(rgba, i);
    return scaled(plane, w, h, BILINEAR, true);
  });
  return Uint8Array.from({length: w * h * channels},
    (_, i) => planes[i % channels].v[Math.floor(i / channels)]);
}
