/** GraphiQL, as a browser gets it at /graphql. Everything it loads comes from the service itself. */
import "graphiql/setup-workers/vite";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { EXAMPLES } from "./examples.ts";
import { EXAMPLES_PLUGIN } from "./ExamplesPlugin.tsx";

import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./graphiql.css";

const url = new URL("/graphql", window.location.href);
const fetcher = createGraphiQLFetcher({
  url: url.href,
  subscriptionUrl: url.href.replace(/^http/, "ws"),
  enableIncrementalDelivery: false,
});

// Made once: GraphiQL takes a new list for other plugins and closes the open one.
const plugins = [EXAMPLES_PLUGIN, HISTORY_PLUGIN, explorerPlugin()];
// The first tab, until there are some that the browser has kept.
const defaultTabs = EXAMPLES.slice(0, 1).map(({ query }) => ({ query }));

const root = document.getElementById("root");
if (root === null) throw new Error("graphiql.html has no #root");
createRoot(root).render(
  <StrictMode>
    <GraphiQL fetcher={fetcher} plugins={plugins} visiblePlugin={EXAMPLES_PLUGIN} defaultTabs={defaultTabs} />
  </StrictMode>,
);
