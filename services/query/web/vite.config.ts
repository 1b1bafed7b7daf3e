import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { pack } from "./dev/pack.ts";
import { devSession } from "./dev/session.ts";

// Where the services listen; only the development server uses it. A plain key is no session, which query would pass on:
// commands go to ingest directly.
const ingestUrl = process.env.TOLLBOOTH_INGEST_URL ?? "http://127.0.0.1:8080";
const queryUrl = process.env.TOLLBOOTH_QUERY_URL ?? "http://127.0.0.1:8081";

const headers: Record<string, string> = process.env.TOLLBOOTH_DEV_KEY
  ? { Authorization: `Bearer ${process.env.TOLLBOOTH_DEV_KEY}` }
  : {};

export default defineConfig(({ command }) => ({
  // The key that stands in for a session (dev/session.ts) is a matter of the development server, never of the bundle.
  plugins: [react(), pack(), ...(command === "serve" ? [devSession(process.env)] : [])],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    host: "127.0.0.1",
    port: Number(process.env.TOLLBOOTH_WEB_PORT ?? "5173"),
    strictPort: true,
    proxy: {
      ...(process.env.TOLLBOOTH_DEV_KEY
        ? { "^/v1/(keys|accounts/[^/]+/(purchases|payment-method|booths/|webhooks))": { target: ingestUrl, headers } }
        : {}),
      "/v1": { target: queryUrl, headers },
      "/openapi.json": queryUrl,
      "/docs": queryUrl,
    },
  },
  build: {
    target: "es2022",
    sourcemap: false,
    // Fonts and images stay files: the content security policy allows no data: fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What most pages share is one file. As files of their own, thirty small ones stood in line for the six connections that
    // a browser opens, and the page's first answers behind them.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [{ name: "common", test: /\/src\/(?!pages|charts|components\/DataTable)/, minShareCount: 4 }],
        },
      },
    },
  },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"], environment: "node" },
}));
