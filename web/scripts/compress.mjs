// Compresses what `vite build` made, once, so that the service need not at each request: `x.js` gets `x.js.br` and
// `x.js.gz` beside it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

// Below this a compressed answer still fills one packet.
const BYTES_MIN = 1_400;
// 11 takes ten times as long for 3 % less.
const BROTLI_QUALITY = 9;

const assets = new URL("../dist/assets/", import.meta.url);
for (const name of readdirSync(assets)) {
  if (!/\.(js|css|svg|json|ttf)$/.test(name)) continue;
  const content = readFileSync(new URL(name, assets));
  if (content.length < BYTES_MIN) continue;
  const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY };
  writeFileSync(new URL(`${name}.br`, assets), brotliCompressSync(content, { params }));
  writeFileSync(new URL(`${name}.gz`, assets), gzipSync(content, { level: 9 }));
}
