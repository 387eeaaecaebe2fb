// Runs the WebAssembly of a page on images: node read.mjs PAGE IMAGES OUTPUTS
// Writes what the model makes of them and, in OUTPUTS.likeness, 16 bits of each one's likeness.
import fs from "node:fs";
import zlib from "node:zlib";

const [, , page, images, outputs] = process.argv;
const text = fs.readFileSync(page, "utf8"), part = id => text.match(`id="${id}">([^<]*)<`)[1];
const wasm = zlib.inflateRawSync(Buffer.from(part("wasm"), "base64"));
const {shape, output} = JSON.parse(part("model"));
const {exports} = (await WebAssembly.instantiate(wasm)).instance;
const given = fs.readFileSync(images), size = shape.reduce((a, b) => a * b);
const made = [], likeness = [];
for (let at = 0; at < given.length; at += size) {
  const memory = new Uint8Array(exports.memory.buffer);
  memory.set(given.subarray(at, at + size), exports.input());
  const place = exports.read();
  made.push(memory.slice(place, place + output.count));
  likeness.push(exports.likeness());
}
fs.writeFileSync(outputs, Buffer.concat(made));
fs.writeFileSync(`${outputs}.likeness`, Int16Array.from(likeness));
