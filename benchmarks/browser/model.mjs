// The WebAssembly of a C file: open(url) gives a function of the input's bytes.
export async function open(url, outputSize) {
  const {instance: {exports}} = await WebAssembly.instantiateStreaming(fetch(url));
  const memory = new Uint8Array(exports.memory.buffer), given = exports.input();
  return bytes => {
    memory.set(bytes, given);
    const found = exports.read();
    return memory.slice(found, found + outputSize);
  };
}
