// Fails when what a browser must load before the board shows is larger than it may be. Reads dist/, so build first.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const INITIAL_JS_GZIPPED_BYTES_MAX = 150_000;

const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

/** The files of a chunk and of all chunks that it imports before it runs. */
function initialFiles(name, found = new Set()) {
  const chunk = manifest[name];
  if (found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const imported of chunk.imports ?? []) initialFiles(imported, found);
  return found;
}

const files = [...initialFiles("index.html")];
const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, dist))).length, 0);
console.log(`initial JavaScript of the board: ${bytes} bytes gzipped in ${files.length} file(s): ${files.join(", ")}`);
if (bytes > INITIAL_JS_GZIPPED_BYTES_MAX) {
  console.error(`That is more than ${INITIAL_JS_GZIPPED_BYTES_MAX} bytes.`);
  process.exit(1);
}
