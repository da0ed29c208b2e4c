// Types and documents for src/api/operations.graphql, checked against the schema that the service serves.
// `npm run codegen` writes them, `npm run codegen:check` fails when what is committed is out of date.
import { codegen } from "@graphql-codegen/core";
import * as typedDocuments from "@graphql-codegen/typed-document-node";
import * as operationTypes from "@graphql-codegen/typescript-operations";
import { buildSchema, parse, validate } from "graphql";
import { readFile, writeFile } from "node:fs/promises";

const here = (path) => new URL(`../${path}`, import.meta.url);
const SCHEMA = here("../graph/schema.graphql");
const OPERATIONS = here("src/api/operations.graphql");
const GENERATED = here("src/api/operations.ts");

const sdl = await readFile(SCHEMA, "utf8");
const document = parse(await readFile(OPERATIONS, "utf8"));
const errors = validate(buildSchema(sdl), document);
if (errors.length > 0) {
  for (const error of errors) console.error(`operations.graphql does not fit graph/schema.graphql: ${error.message}`);
  process.exit(1);
}

const generated = await codegen({
  filename: "operations.ts",
  schema: parse(sdl),
  documents: [{ location: "operations.graphql", document }],
  config: {
    scalars: { DateTime: "string", Score: "number", UUID: "string", ID: "string" },
    strictScalars: true,
    enumType: "string-literal",
    useTypeImports: true,
    skipTypename: true,
    immutableTypes: true,
    optimizeDocumentNode: true,
  },
  plugins: [{ operationTypes: {} }, { typedDocuments: {} }],
  pluginMap: { operationTypes, typedDocuments },
});
const text = `// Made by \`npm run codegen\` from operations.graphql and graph/schema.graphql.\n${generated.trim()}\n`;

if (!process.argv.includes("--check")) {
  await writeFile(GENERATED, text);
} else if ((await readFile(GENERATED, "utf8").catch(() => "")) !== text) {
  console.error("src/api/operations.ts is out of date: run `npm run codegen` in web/ and commit what changed.");
  process.exit(1);
}
