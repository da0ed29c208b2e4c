import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running service. */
const service = process.env["SHARDBOARD_URL"] ?? "http://127.0.0.1:8000";

/** The pages that the service serves: the board, GraphiQL and the documentation of the REST API. */
const pages = ["index.html", "graphiql.html", "docs.html"];

export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "dist",
    manifest: true,
    // Everything is a file of its own: the policy that the service sends allows no data: for scripts and fonts.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: pages,
      onLog: (level, log, handle) => {
        // GraphiQL's packages carry directives to a compiler that is not run here: a screenful that means nothing.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") handle(level, log);
      },
    },
  },
  server: {
    proxy: {
      "/graphql": { target: service, ws: true },
      "/api": service,
      "/openapi.json": service,
      "/settings.json": service,
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/testing/setup.ts"],
    restoreMocks: true,
  },
});
