// Opens artifacts in the runtimes that a browser has, runs and times them. A model is a function of
// one input, a typed array, that gives the output or its promise.

const ARRAYS = {uint8: Uint8Array, int8: Int8Array, float32: Float32Array};
const models = {}, inputs = {};
let litert = null;

// Each imports its runtime, says so, and opens the artifact at a URL.
const RUNTIMES = {
  async wasm({url, output}, imported) {
    const {open} = await import(url);
    imported();
    const Kind = ARRAYS[output.dtype], model = await open(output.size * Kind.BYTES_PER_ELEMENT);
    return values => new Kind(model(new Uint8Array(values.buffer, values.byteOffset,
      values.byteLength)).buffer);
  },

  async onnxruntime({url, input}, imported) {
    const ort = await import("/onnxruntime-web/dist/ort.wasm.min.mjs");
    Object.assign(ort.env.wasm, {numThreads: 1, wasmPaths: "/onnxruntime-web/dist/"});
    imported();
    const session = await ort.InferenceSession.create(url, {executionProviders: ["wasm"]});
    const [[given], [found]] = [session.inputNames, session.outputNames];
    return async values => {
      const made = await session.run({[given]: new ort.Tensor(input.dtype, values, input.shape)});
      return made[found].data;
    };
  },

  async litert({url, input}, imported) {
    const {loadLiteRt, loadAndCompile, Tensor} = await import("/@litertjs/core/dist/index.js");
    imported();
    await (litert ??= loadLiteRt("/@litertjs/core/wasm/", {threads: false})); // once per page
    const model = await loadAndCompile(url, {accelerator: "wasm"});
    return async values => {
      const given = new Tensor(values, input.shape), [found] = await model.run(given);
      const made = found.toTypedArray().slice(); // it belongs to the runtime until it is deleted
      given.delete();
      found.delete();
      return made;
    };
  },
};

// Opens a row's artifact and makes the first call; returns milliseconds.
window.openModel = async row => {
  const from = performance.now();
  let imported = from;
  const model = await RUNTIMES[row.runtime](row, () => { imported = performance.now(); });
  const opened = performance.now();
  await model(new ARRAYS[row.input.dtype](row.input.size));
  const called = performance.now();
  models[row.name] = {model, row};
  return {import_ms: imported - from, open_ms: opened - imported, first_ms: called - opened};
};

// Fetches the inputs of a row's kind: arrays of one image each.
window.keepInputs = async name => {
  const {row} = models[name], Kind = ARRAYS[row.input.dtype];
  const all = new Kind(await (await fetch(row.inputs)).arrayBuffer());
  inputs[row.inputs] = Array.from({length: all.length / row.input.size},
    (_, i) => all.slice(i * row.input.size, (i + 1) * row.input.size));
  return inputs[row.inputs].length;
};

const inputsOf = name => inputs[models[name].row.inputs];

// The outputs of images, one behind the other.
window.predict = async (name, from, to) => {
  const outputs = [];
  for (const image of inputsOf(name).slice(from, to)) outputs.push(...await models[name].model(image));
  return outputs;
};

async function repeat(name, from, count) {
  const {model} = models[name], images = inputsOf(name);
  const start = performance.now();
  for (let i = from; i < from + count; i++) {
    const made = model(images[i % images.length]);
    if (made instanceof Promise) await made;
  }
  return 1000 * (performance.now() - start);
}

// Microseconds: per call of each batch, and of single calls.
window.timeCalls = async (name, {batches, size, singles}) => {
  const batch = [], single = [];
  for (let i = 0; i < batches; i++) batch.push(await repeat(name, i * size, size) / size);
  for (let i = 0; i < singles; i++) single.push(await repeat(name, i, 1));
  return {batch, single};
};

// The smallest step of the clock, in microseconds.
window.clockStep = () => {
  let least = Infinity;
  for (let i = 0, before = performance.now(); i < 1e5; i++) {
    const now = performance.now();
    if (now > before) least = Math.min(least, now - before);
    before = now;
  }
  return 1000 * least;
};
window.ready = true;
