// Paths of tiles (c2sp.org/tlog-tiles): each tile has one spelling, so that no cache holds it twice.
import { Refused } from "./refused.js";

const MAX_INDEX = 2n ** 55n - 1n;
const PATH = /^tile\/(entries|[0-7])\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

// Returns {level, index, width} of a path such as `tile/0/x001/234.p/5`; level -1 is entry bundles.
export function parseTilePath(path) {
  const found = PATH.exec(path);
  if (found === null) throw new Refused("tile_path");
  const level = found[1] === "entries" ? -1 : Number(found[1]);
  const index = BigInt(found[2].replace(/[x/]/g, ""));
  const width = Number(found[3] ?? 256);
  const tile = { level, index, width };
  if (index > MAX_INDEX || width > 256 || tilePath(tile) !== path) throw new Refused("tile_path");
  return tile;
}

export function tilePath({ level, index, width }) {
  const digits = index.toString();
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const groups = padded.match(/.../g);
  const path = groups.map((group, n) => (n < groups.length - 1 ? `x${group}` : group)).join("/");
  const part = width < 256 ? `.p/${width}` : "";
  return `tile/${level < 0 ? "entries" : level}/${path}${part}`;
}
