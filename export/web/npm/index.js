// A classifier of pictures in WebAssembly, made by mnist-edge: no dependencies, no requests.
const spec = @spec@;
const wasm = "@wasm@";

@reader@
const {instance} = await WebAssembly.instantiate(
  Uint8Array.from(atob(wasm), character => character.charCodeAt(0)));
const probabilitiesOf = reader(instance.exports, spec);

export const labels = Object.freeze(spec.labels);
export const shape = Object.freeze(spec.shape);

export function read(pixels) {
  const size = shape.reduce((a, b) => a * b);
  if (pixels?.length !== size)
    throw new TypeError(`pixels must hold ${size} values. Got: ${pixels?.length ?? typeof pixels}.`);
  return probabilitiesOf(new Uint8ClampedArray(pixels));
}
