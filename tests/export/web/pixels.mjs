// Reads pictures (an index, JSON, and RGBA bytes) as the page does; prints what it makes of them.
import fs from "node:fs";
import {luminance, prepare, whole} from "../../../export/web/pixels.js";

const folder = process.argv[2];
const bytes = fs.readFileSync(`${folder}/pictures.bin`);
let at = 0;
const found = JSON.parse(fs.readFileSync(`${folder}/pictures.json`)).map(({w, h, many, to}) => {
  const rgba = bytes.subarray(at, at += 4 * w * h);
  try {
    if (to) return [{pixels: [...whole(rgba, [w, h], ...to)]}];
    return prepare(luminance(rgba, w, h), many).map(digit =>
      ({...digit, pixels: [...digit.pixels]}));
  } catch (error) {
    return error.message;
  }
});
fs.writeFileSync(`${folder}/found.json`, JSON.stringify(found));
