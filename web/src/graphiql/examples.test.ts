import { buildSchema, Kind, parse, validate } from "graphql";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { EXAMPLES } from "./examples.ts";
import { uuid7 } from "../api/uuid7.ts";

const schema = buildSchema(readFileSync("../graph/schema.graphql", "utf8"));

test("every field of the schema has an example", () => {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const fields = roots.flatMap((type) => Object.keys(type?.getFields() ?? {}));
  expect(EXAMPLES.map((example) => example.field).sort()).toEqual(fields.sort());
});

test.each(EXAMPLES)("the example for $field is valid and shows that field", ({ field, query }) => {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const [operation] = document.definitions;
  const selections = operation?.kind === Kind.OPERATION_DEFINITION ? operation.selectionSet.selections : [];
  expect(selections.map((selection) => selection.kind === Kind.FIELD && selection.name.value)).toEqual([field]);
});

test("a uuid7 carries its time, its version and its variant", () => {
  expect(uuid7(0x0192_3456_789a)).toMatch(/^01923456-789a-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuid7()).not.toBe(uuid7());
});
