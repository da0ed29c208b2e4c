import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { run } from "./steps.mjs";

const [, , url, way, key] = process.argv;
const authorization = `Bearer ${key}`;
const sockets = createClient({
  url: `${url.replace("http", "ws")}/graphql`,
  retryAttempts: 0,
  connectionParams: { authorization },
});
const bySocket = subscriptionExchange({
  enableAllOperations: way === "all-ws",
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
  }),
});
// urql's own way without a further library: fetch, and Server-Sent Events for subscriptions.
const byFetch = { exchanges: [fetchExchange], fetchSubscriptions: true };
const client = new Client({
  url: `${url}/graphql`,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
  ...(way === "sse" ? byFetch : { exchanges: [bySocket, fetchExchange] }),
});
const messages = (error) => error.graphQLErrors.map(({ message }) => message);

await run({
  async execute(document, variables) {
    const ask = /^\s*mutation/.test(document) ? client.mutation(document, variables) : client.query(document, variables);
    const { data, error } = await ask.toPromise();
    if (error) throw error;
    return data;
  },
  watch(document, variables, next, failed) {
    const { unsubscribe } = client.subscription(document, variables).subscribe(({ data, error }) => {
      if (error) failed(messages(error));
      else next(data);
    });
    return unsubscribe;
  },
});
await sockets.dispose();
