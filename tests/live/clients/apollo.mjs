import { ApolloClient, gql, HttpLink, InMemoryCache, ApolloLink } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { getMainDefinition } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import { run } from "./steps.mjs";

const [, , url, way, key] = process.argv;
const authorization = `Bearer ${key}`;
const sockets = createClient({
  url: `${url.replace("http", "ws")}/graphql`,
  retryAttempts: 0,
  connectionParams: { authorization },
});
const byWebSocket = new GraphQLWsLink(sockets);
const isSubscription = ({ query }) => getMainDefinition(query).operation === "subscription";
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link:
    way === "http"
      ? ApolloLink.split(isSubscription, byWebSocket, new HttpLink({ uri: `${url}/graphql`, headers: { authorization } }))
      : byWebSocket,
});
const messages = (error) =>
  CombinedGraphQLErrors.is(error) ? error.errors.map(({ message }) => message) : [error.message];
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (key, inner) => (key === "__typename" ? undefined : inner)));

await run({
  async execute(document, variables) {
    const query = gql(document);
    const answer = isSubscription({ query })
      ? undefined
      : getMainDefinition(query).operation === "mutation"
        ? await client.mutate({ mutation: query, variables })
        : await client.query({ query, variables });
    return plain(answer.data);
  },
  watch(document, variables, next, failed) {
    const subscription = client.subscribe({ query: gql(document), variables }).subscribe({
      next: ({ data, error }) => (error ? failed(messages(error)) : next(plain(data))),
      error: (error) => failed(messages(error)),
    });
    return () => subscription.unsubscribe();
  },
});
client.stop();
await sockets.dispose();
