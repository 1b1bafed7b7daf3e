import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import type { Plugin } from "vite";

// Smaller files gain nothing that a header more does not cost again.
const BYTES_MIN = 1024;
const TEXT = /\.(js|css|html|svg|json)$/;

/** Writes `.br` and `.gz` beside every text of the build: the service sends what a browser takes and packs nothing itself. */
export function pack(): Plugin {
  return {
    name: "pack",
    apply: "build",
    writeBundle({ dir = "dist" }) {
      for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
        const path = join(dir, name);
        if (!TEXT.test(name) || statSync(path).size < BYTES_MIN) continue;
        const bytes = readFileSync(path);
        const size = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: size }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}
