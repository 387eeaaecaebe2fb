// Reads pictures (an index, JSON, and RGBA bytes) as the page does; prints what it makes of them,
// and what the package of npm in a second folder, if there is one, answers.
import fs from "node:fs";
import {luminance, prepare, whole} from "../../../export/web/pixels.js";

const [, , folder, reader] = process.argv;
const {labels, read} = reader ? await import(`${reader}/index.js`) : {};
const answer = pixels => {
  const probabilities = read(pixels);
  return labels[probabilities.indexOf(Math.max(...probabilities))];
};
const bytes = fs.readFileSync(`${folder}/pictures.bin`);
let at = 0;
const found = JSON.parse(fs.readFileSync(`${folder}/pictures.json`)).map(({w, h, many, to}) => {
  const rgba = bytes.subarray(at, at += 4 * w * h);
  try {
    if (to) return [{pixels: [...whole(rgba, [w, h], ...to)]}];
    return prepare(luminance(rgba, w, h), many).map(digit =>
      ({...digit, pixels: [...digit.pixels], answer: reader && answer(digit.pixels)}));
  } catch (error) {
    return error.message;
  }
});
fs.writeFileSync(`${folder}/found.json`, JSON.stringify(found));
