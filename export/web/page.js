// What is drawn or opened, read by the model in WebAssembly, and shown.

const element = id => document.getElementById(id);
const spec = JSON.parse(element("model").textContent), [HEIGHT, WIDTH, CHANNELS] = spec.shape;
const paper = element("paper"), pen = paper.getContext("2d"), PEN_WIDTH = 20, STEP = 12;
const MOST_PIXELS = 2 ** 24; // what Safari's canvas holds
const strokes = [], underWay = new Map(); // each stroke a list of [x, y]
let photo = null; // {bitmap, left, top, scale}: a picture, and where it is on the paper
let found = [], chosen = 0, probabilitiesOf = null, likeness = null, cursor = [360, 120], keyStroke = null;

const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
const percent = p => `${(100 * p).toFixed(1)} %`;

// The model

async function start() {
  const {instance} = await WebAssembly.instantiate(await unpack("wasm").arrayBuffer());
  const model = instance.exports;
  probabilitiesOf = reader(model, spec);
  likeness = model.likeness ?? (() => 0);
  const bytes = new Uint8Array(WIDTH * HEIGHT * CHANNELS);
  probabilitiesOf(bytes);
  let calls = 1, micros = Infinity; // of the quickest of many windows: others are interrupted
  for (let windows = 0; windows < 10; await new Promise(resolve => setTimeout(resolve))) {
    const from = performance.now();
    for (let i = 0; i < calls; i++) model.read();
    const spent = performance.now() - from;
    if (spent < 2) calls *= 2; // too short for a coarse clock
    else {
      micros = Math.min(micros, 1000 * spent / calls);
      windows++;
    }
  }
  element("facts").textContent = `${spec.name} · ${micros < 10 ? micros.toFixed(1) : Math.round(micros)}`
    + ` µs per call · ${(spec.bytes / 1000).toFixed(1)} kB of WebAssembly · no requests, works offline`;
  document.documentElement.dataset.micros = micros;
}

function read() {
  const {data, width, height} = pixelsOf();
  try {
    found = (spec.draws ? digitsIn : wholeOf)(data, width, height).map(digit => {
      const probabilities = probabilitiesOf(digit.pixels);
      const best = probabilities.indexOf(Math.max(...probabilities));
      const isDigit = !(probabilities[best] * likeness() < spec.least);
      return {...digit, probabilities, best, isDigit, label: isDigit ? spec.labels[best] : "?"};
    });
    show();
  } catch (error) {
    found = [];
    show(error.message);
  }
}

function digitsIn(rgba, width, height) {
  const gray = luminance(rgba, width, height);
  if (photo) photo.scale = photo.shown / gray.w;
  return prepare(gray, !photo || element("option").checked);
}

function wholeOf(rgba, width, height) {
  const pixels = whole(rgba, [width, height], WIDTH, HEIGHT, CHANNELS);
  return [{pixels: element("option").checked ? pixels.map(x => 255 - x) : pixels}];
}

// RGBA of the picture as it was given, or of black strokes on white paper.
function pixelsOf() {
  const canvas = document.createElement("canvas");
  let [width, height] = [paper.width, paper.height];
  if (photo) {
    const {bitmap} = photo, factor = Math.min(1, Math.sqrt(MOST_PIXELS / bitmap.width / bitmap.height));
    [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(1, Math.floor(side * factor)));
  }
  Object.assign(canvas, {width, height});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  if (photo) context.drawImage(photo.bitmap, 0, 0, width, height);
  else {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    drawStrokes(context, "#000");
  }
  return context.getImageData(0, 0, width, height);
}

// What is seen

function drawStrokes(context, ink) {
  Object.assign(context, {lineWidth: PEN_WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: ink});
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) {
      const [[x, y], [nextX, nextY]] = [points[i], points[i + 1]];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    const [x, y] = points.at(-1);
    context.lineTo(x + 0.01, y);
    context.stroke();
  }
}

function draw() {
  pen.clearRect(0, 0, paper.width, paper.height);
  if (photo) pen.drawImage(photo.bitmap, photo.left, photo.top, photo.shown, photo.shownHeight);
  else drawStrokes(pen, color("ink"));
  const {left = 0, top = 0, scale = 1} = photo ?? {};
  pen.font = "600 18px system-ui, sans-serif";
  found.forEach(({box, label}, i) => {
    if (!box) return;
    const margin = photo ? 4 : 8, x = left + box.left * scale - margin, y = top + box.top * scale - margin;
    pen.strokeStyle = color("accent");
    pen.lineWidth = i === chosen ? 3 : 1.5;
    pen.beginPath();
    pen.roundRect(x, y, (box.right - box.left) * scale + 2 * margin,
      (box.bottom - box.top) * scale + 2 * margin, 8);
    pen.stroke();
    const wide = pen.measureText(label).width + 12, above = Math.max(0, y - 26);
    pen.fillStyle = color("accent");
    pen.beginPath();
    pen.roundRect(x, above, wide, 22, 6);
    pen.fill();
    pen.fillStyle = color("on-accent");
    pen.fillText(label, x + 6, above + 17);
  });
  if (spec.draws && document.activeElement === paper && paper.matches(":focus-visible")) {
    pen.strokeStyle = color("accent");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(...cursor, PEN_WIDTH / 2 + 4, 0, 7);
    pen.stroke();
  }
  element("hint").hidden = Boolean(photo || strokes.length);
  element("undo").disabled = !strokes.length;
  element("clear").disabled = !photo && !strokes.length;
}

function show(message) {
  chosen = Math.min(chosen, Math.max(0, found.length - 1));
  const answer = element("answer"), words = spec.labels.some(label => label.length > 1);
  const isNone = found.length > 0 && !found.some(one => one.isDigit);
  answer.classList.toggle("words", words || isNone);
  if (found.length) {
    const lines = [];
    for (const {line = 1, label} of found) (lines[line] ??= []).push(label);
    answer.textContent = isNone ? "No digit"
      : lines.filter(Boolean).map(line => line.join(words ? ", " : "")).join("\n");
    if (spec.least) // the text is digits and question marks, whose meaning is said
      answer.innerHTML = answer.textContent.replaceAll("?",
        '<span aria-hidden="true">?</span><span class="unseen"> no digit </span>');
  } else {
    answer.innerHTML = '<span class="quiet"></span>';
    answer.firstChild.textContent = message ?? "Nothing yet";
  }
  element("details").hidden = !found.length;
  element("digits").classList.toggle("several", found.length > 2);
  element("digits").replaceChildren(...found.map(card));
  bars();
  draw();
}

function card(digit, i) {
  const item = document.createElement("li"), button = document.createElement("button");
  const canvas = document.createElement("canvas"), image = new ImageData(WIDTH, HEIGHT);
  Object.assign(canvas, {width: WIDTH, height: HEIGHT});
  for (let k = 0; k < WIDTH * HEIGHT; k++)
    for (let c = 0; c < 4; c++)
      image.data[4 * k + c] = c === 3 ? 255 : digit.pixels[CHANNELS === 3 ? 3 * k + c : k];
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.setAttribute("aria-hidden", "true");
  button.type = "button";
  const {isDigit, label, best, probabilities} = digit;
  button.append(canvas, isDigit ? `${label} · ${percent(probabilities[best])}` : "no digit");
  button.setAttribute("aria-pressed", i === chosen);
  button.onclick = () => {
    chosen = i;
    for (const [k, other] of element("digits").querySelectorAll("button").entries())
      other.setAttribute("aria-pressed", k === i);
    bars();
    draw();
  };
  item.append(button);
  return item;
}

function bars() {
  if (!found.length) return;
  const {probabilities, best, isDigit, label} = found[chosen], MOST = 12;
  const [which, answer] = found.length > 1 ? [` of no. ${chosen + 1}`, `, read as ${label}`] : ["", ""];
  element("chosen").textContent = `Probabilities${which}${isDigit ? answer : ", if it were a digit"}`;
  let order = [...probabilities.keys()];
  if (order.length > MOST)
    order = order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST);
  element("bars").classList.toggle("words", spec.labels.some(name => name.length > 1));
  element("bars").replaceChildren(...order.map(i => {
    const item = document.createElement("li"), track = document.createElement("i");
    const [name, value] = [spec.labels[i], percent(probabilities[i])].map(text =>
      Object.assign(document.createElement("span"), {textContent: text}));
    track.append(document.createElement("b"));
    track.firstChild.style.width = `${100 * Math.max(0, Math.min(1, probabilities[i]))}%`;
    track.setAttribute("aria-hidden", "true");
    item.classList.toggle("best", isDigit && i === best);
    item.append(name, track, value);
    return item;
  }));
}

// Drawing

function clear() {
  strokes.length = 0;
  [photo, found, keyStroke] = [null, [], null];
  show();
}

function changed() {
  if (strokes.length) read();
  else clear();
}

const place = event => {
  const {left, top, width, height} = paper.getBoundingClientRect();
  return [(event.clientX - left) / width * paper.width, (event.clientY - top) / height * paper.height];
};

function begin(point) {
  if (photo) clear();
  found = [];
  const stroke = [point];
  strokes.push(stroke);
  draw();
  return stroke;
}

function usePen() {
  paper.classList.add("pen");
  paper.onpointerdown = event => {
    if (event.button) return;
    paper.setPointerCapture(event.pointerId);
    underWay.set(event.pointerId, begin(place(event)));
    event.preventDefault(); // selects no text
    paper.focus({focusVisible: false});
  };
  paper.onpointermove = event => {
    const stroke = underWay.get(event.pointerId);
    if (!stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(events.length ? events : [event]).map(place));
    draw();
  };
  paper.onpointerup = paper.onpointercancel = event => {
    if (underWay.delete(event.pointerId) && !underWay.size) read();
  };
  paper.onfocus = paper.onblur = draw;
  paper.onkeydown = event => {
    const [across, down] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
      ArrowDown: [0, 1]}[event.key] ?? [0, 0];
    if (across || down) {
      const within = (x, side) => Math.min(Math.max(x, PEN_WIDTH), side - PEN_WIDTH);
      cursor = [within(cursor[0] + across * STEP, paper.width), within(cursor[1] + down * STEP, paper.height)];
      keyStroke?.push(cursor);
      draw();
    } else if (event.key === " " || event.key === "Enter") {
      keyStroke = keyStroke ? (read(), null) : begin(cursor);
    } else if (event.key === "Backspace") undo();
    else if (event.key === "Delete" || event.key === "Escape") clear();
    else return;
    event.preventDefault();
  };
}

function undo() {
  strokes.pop();
  keyStroke = null;
  changed();
}

// Pictures

async function open(file) {
  if (!file) return;
  try {
    const bitmap = await createImageBitmap(file);
    const fit = Math.min(paper.width / bitmap.width, paper.height / bitmap.height);
    const [shown, shownHeight] = [bitmap.width * fit, bitmap.height * fit];
    strokes.length = 0;
    keyStroke = null;
    photo = {bitmap, shown, shownHeight, left: (paper.width - shown) / 2,
      top: (paper.height - shownHeight) / 2};
    read();
  } catch {
    clear();
    show("This file is no picture that the browser can open.");
  }
}

function listen() {
  const sheet = element("sheet"), file = element("file"), over = on => event => {
    event.preventDefault();
    sheet.classList.toggle("over", on);
  };
  element("open").onclick = () => file.click();
  file.onchange = () => { open(file.files[0]); file.value = ""; };
  element("clear").onclick = clear;
  element("undo").onclick = undo;
  element("option").onchange = () => photo && read();
  addEventListener("dragover", over(true));
  addEventListener("dragleave", over(false));
  addEventListener("drop", event => { over(false)(event); open(event.dataTransfer.files[0]); });
  addEventListener("paste", event => open(event.clipboardData.files[0]));
  matchMedia("(prefers-color-scheme: dark)").onchange = draw;
}

paper.height = innerWidth < 600 ? 640 : 480; // taller on a phone
const label = element("option").nextElementSibling, help = element("help").firstChild;
if (spec.draws) {
  usePen();
  paper.tabIndex = 0;
  paper.setAttribute("role", "application");
  paper.setAttribute("aria-label", "Drawing area: arrow keys move the pen, Space lowers and lifts it");
  paper.setAttribute("aria-describedby", "help");
  element("hint").textContent = `Draw ${spec.what} here, one or several`;
  help.textContent = "Or drop, paste or photograph a picture.";
  element("keys").textContent = "Keyboard: arrow keys move the pen, Space lowers and lifts it, "
    + "Backspace undoes, Delete clears.";
  label.textContent = "Find several in a picture";
  element("option").checked = true;
} else {
  paper.setAttribute("role", "img");
  paper.setAttribute("aria-label", "The picture that was opened");
  element("undo").hidden = true;
  element("hint").textContent = "Drop a picture here, paste it, or open one";
  help.textContent = `The whole picture is read, at ${WIDTH} × ${HEIGHT} pixels. `
    + `Classes: ${spec.labels.slice(0, 12).join(", ")}${spec.labels.length > 12 ? ", and more" : ""}.`;
  label.textContent = "Invert light and dark";
}
listen();
draw();
start().catch(() => {
  element("facts").textContent = "This browser is too old: the model needs WebAssembly with SIMD.";
});
