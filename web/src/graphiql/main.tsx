/** GraphiQL, as a browser gets it at /graphql. Everything it loads comes from the service itself. */
import "graphiql/setup-workers/vite";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { authorizedUnlessTyped } from "../api/credential.ts";
import { readSettings } from "../settings.ts";
import { EXAMPLES } from "./examples.ts";
import { examplesPlugin } from "./ExamplesPlugin.tsx";

import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./graphiql.css";

const url = new URL("/graphql", window.location.href);
const { key } = await readSettings();
const send = createGraphiQLFetcher({
  url: url.href,
  subscriptionUrl: url.href.replace(/^http/, "ws"),
  enableIncrementalDelivery: false,
});

// What is typed into the headers editor goes into a socket's first message as well. (The option `headers` would send a
// typed "Authorization" beside its own "authorization".)
const fetcher: Fetcher = (operation, options) =>
  send(operation, { ...options, headers: authorizedUnlessTyped(options?.headers, key) });

// Made once: GraphiQL takes a new list for other plugins and closes the open one.
const examples = examplesPlugin(key !== undefined);
const plugins = [examples, HISTORY_PLUGIN, explorerPlugin()];
// The first tab, until there are some that the browser has kept.
const defaultTabs = EXAMPLES.slice(0, 1).map(({ query }) => ({ query }));

const root = document.getElementById("root");
if (root === null) throw new Error("graphiql.html has no #root");
createRoot(root).render(
  <StrictMode>
    <GraphiQL fetcher={fetcher} plugins={plugins} visiblePlugin={examples} defaultTabs={defaultTabs} />
  </StrictMode>,
);
