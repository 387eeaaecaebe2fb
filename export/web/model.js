// The model in WebAssembly as a function: pixels (bytes) to the probabilities of its classes.
export function reader(model, {shape, levels, output: {kind, count, scale, zero}}) {
  const size = shape.reduce((a, b) => a * b);
  return pixels => {
    const memory = model.memory.buffer;
    new Uint8Array(memory, model.input(), size).set(levels ? pixels.map(x => levels[x]) : pixels);
    const bytes = new (kind === "int8" ? Int8Array : Uint8Array)(memory, model.read(), count);
    const values = Array.from(bytes, x => (x - zero) * scale);
    return count === 1 ? [1 - values[0], values[0]] : values; // one of two classes
  };
}
