import { createClient } from "graphql-sse";
import { run } from "./steps.mjs";

const [, , url, , key] = process.argv;
const client = createClient({
  url: `${url}/graphql`,
  retryAttempts: 0,
  headers: { authorization: `Bearer ${key}` },
});

await run({
  async execute(query, variables) {
    for await (const result of client.iterate({ query, variables })) return result.data;
  },
  watch: (query, variables, next, failed) =>
    client.subscribe(
      { query, variables },
      {
        next: (result) => (result.errors ? failed(result.errors.map(({ message }) => message)) : next(result.data)),
        error: (error) => {
          throw error;
        },
        complete: () => {},
      },
    ),
});
client.dispose();
