/** The REST API as a browser gets it described at /docs. Everything that it loads comes from the service itself. */
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

import { readSettings } from "../settings.ts";

import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
function followTheSystem(): void {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}
dark.addEventListener("change", followTheSystem);
followTheSystem();

const { key } = await readSettings();
const ui = SwaggerUI({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Its usual one is on another site.
  validatorUrl: null,
  onComplete: () => {
    if (key !== undefined) ui.preauthorizeApiKey("credential", key);
  },
});
