import { CloseCode, createClient as createSocketClient, MessageType } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, mapExchange, subscriptionExchange, type OperationResult } from "urql";
import { backoffMs, waitOrWake } from "./backoff.ts";
import { ConnectionStore } from "./connectionState.ts";
import { authorized } from "./credential.ts";
import { CLOSED_WAIT_S, FULL_WAIT_S, RefusalStore } from "./refusalState.ts";
import { refusalOf } from "./refusalOf.ts";

type Key = Promise<string | undefined>;

const GRAPHQL_PATH = "/graphql";

/** A change of subscription, such as from 10 rows to 25, keeps the socket. */
const SOCKET_KEPT_WITHOUT_SUBSCRIPTION_MS = 3_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

/** RFC 6455's "try again later": there is no room for another socket. */
const TRY_AGAIN_LATER = 1013;

export const connection = new ConnectionStore();
/** Of reads, by HTTP and by socket: the service counts them together. */
export const reads = new RefusalStore();
/** Of sockets alone: what is read by HTTP goes on meanwhile. */
export const sockets = new RefusalStore();

/** The socket of all subscriptions. It mends itself for as long as the page is open. */
function createSocket(key: Key) {
  const url = new URL(GRAPHQL_PATH, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  let pongMissing: ReturnType<typeof setTimeout> | undefined;
  const socket = createSocketClient({
    url: url.href,
    connectionParams: async () => authorized(await key),
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: async (retries) => {
      await waitOrWake(backoffMs(retries, Math.random()));
      await Promise.all([reads.over(), sockets.over()]);
    },
    lazyCloseTimeout: SOCKET_KEPT_WITHOUT_SUBSCRIPTION_MS,
    keepAlive: PING_EVERY_MS,
    on: {
      message: (message) => {
        if (message.type === MessageType.Next) connection.live();
        if (message.type === MessageType.ConnectionAck) sockets.lifted();
        if (message.type === MessageType.Error) connection.lost();
      },
      closed: (event) => {
        clearTimeout(pongMissing);
        connection.lost();
        const { code } = event as CloseEvent;
        if (code === TRY_AGAIN_LATER) sockets.refused("full", FULL_WAIT_S);
        if (code === (CloseCode.Forbidden as number)) reads.refused("closed", CLOSED_WAIT_S);
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

/**
 * The GraphQL client of the page: queries and mutations by HTTP, subscriptions by WebSocket, on one path.
 *
 * All of them wait for `key` and show it as their credential, if there is one.
 */
export function createClient(key: Key): Client {
  const socket = createSocket(key);
  return new Client({
    url: GRAPHQL_PATH,
    preferGetMethod: false,
    fetch: async (input, init) =>
      fetch(input, { ...init, headers: { ...(init?.headers as Record<string, string>), ...authorized(await key) } }),
    exchanges: [
      cacheExchange,
      mapExchange({ onResult: noteRefusal }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe(
              { ...request, query: request.query ?? "" },
              {
                ...sink,
                // Watching has no end of its own. (urql's hooks tell nobody of one.)
                complete: () => {
                  sink.error(new Error("The service ended the subscription."));
                },
              },
            ),
          }),
        }),
      }),
    ],
  });
}

/** Submissions are left out: they are counted apart, and who sends one is told beside the form. */
function noteRefusal({ operation, error }: OperationResult): void {
  if (operation.kind === "mutation") return;
  const refusal = refusalOf(error);
  if (refusal !== null) reads.refused(refusal.name, refusal.waitS);
  // What was let in before goes on meanwhile, such as a subscription.
  else if (reads.waitMs() === 0) reads.lifted();
}
