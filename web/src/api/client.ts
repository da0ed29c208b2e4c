import { createClient as createSocketClient, MessageType } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "urql";
import { backoffMs, waitOrWake } from "./backoff.ts";
import { ConnectionStore } from "./connectionState.ts";

const GRAPHQL_PATH = "/graphql";

/** A change of subscription, such as from 10 rows to 25, keeps the socket. */
const SOCKET_KEPT_WITHOUT_SUBSCRIPTION_MS = 3_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

export const connection = new ConnectionStore();

/** The socket of all subscriptions. It mends itself for as long as the page is open. */
function createSocket() {
  const url = new URL(GRAPHQL_PATH, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  let pongMissing: ReturnType<typeof setTimeout> | undefined;
  const socket = createSocketClient({
    url: url.href,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => waitOrWake(backoffMs(retries, Math.random())),
    lazyCloseTimeout: SOCKET_KEPT_WITHOUT_SUBSCRIPTION_MS,
    keepAlive: PING_EVERY_MS,
    on: {
      message: (message) => {
        if (message.type === MessageType.Next) connection.live();
        if (message.type === MessageType.Error) connection.lost();
      },
      closed: () => {
        clearTimeout(pongMissing);
        connection.lost();
      },
      // A network that is gone without a word closes no socket: a ping that nobody answers does.
      ping: (received) => {
        if (received) return;
        pongMissing = setTimeout(() => {
          socket.terminate();
        }, PONG_WITHIN_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(pongMissing);
      },
    },
  });
  return socket;
}

/** The GraphQL client of the page: queries and mutations by HTTP, subscriptions by WebSocket, on one path. */
export function createClient(): Client {
  const socket = createSocket();
  return new Client({
    url: GRAPHQL_PATH,
    preferGetMethod: false,
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink),
          }),
        }),
      }),
    ],
  });
}
