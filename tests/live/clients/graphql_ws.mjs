import { createClient } from "graphql-ws";
import { run } from "./steps.mjs";

const [, , url, , key] = process.argv;
const client = createClient({
  url: `${url.replace("http", "ws")}/graphql`,
  retryAttempts: 0,
  connectionParams: { authorization: `Bearer ${key}` },
});

await run({
  async execute(query, variables) {
    for await (const result of client.iterate({ query, variables })) return result.data;
  },
  watch: (query, variables, next, failed) =>
    client.subscribe(
      { query, variables },
      {
        next: (result) => next(result.data),
        error: (errors) => failed(errors.map(({ message }) => message)),
        complete: () => {},
      },
    ),
});
await client.dispose();
