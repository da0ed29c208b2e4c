import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import { createClient } from "./api/client.ts";
import { App } from "./App.tsx";
import { readSettings } from "./settings.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/board.css";
import "./styles/player.css";
import "./styles/submit.css";

const settings = readSettings();
const key = settings.then((offered) => offered.key);
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <Provider value={createClient(key)}>
      <App settings={settings} />
    </Provider>
  </StrictMode>,
);
