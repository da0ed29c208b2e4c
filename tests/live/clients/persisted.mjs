// Automatic persisted queries as Apollo and urql send them; prints each request's body or URL in short, and the data.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";

const [, , url, name, method] = process.argv;
const query = `query Persisted_${name}_${method} { leaderboard { totalCount } }`;
const sha256 = async (text) => createHash("sha256").update(text).digest("hex");
const sent = [];
const watched = async (address, options) => {
  const response = await fetch(address, options);
  const given = options.method === "POST" ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
  sent.push(`${options.method} ${given.query ? "text" : "hash"} ${response.status}`);
  return response;
};

async function apollo() {
  const http = new HttpLink({ uri: `${url}/graphql`, fetch: watched });
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: method === "GET" });
  const client = new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.from([persisted, http]) });
  const ask = async () => (await client.query({ query: gql(query), fetchPolicy: "network-only" })).data;
  const got = [await ask(), await ask()];
  client.stop();
  return got;
}

async function urql() {
  const get = method === "GET";
  const client = new Client({
    url: `${url}/graphql`,
    fetch: watched,
    fetchOptions: { headers: { "graphql-require-preflight": "1" } },
    preferGetMethod: false,
    exchanges: [persistedExchange({ preferGetForPersistedQueries: get, generateHash: sha256 }), fetchExchange],
  });
  const ask = async () => {
    const { data, error } = await client.query(query, {}, { requestPolicy: "network-only" }).toPromise();
    if (error) throw error;
    return data;
  };
  return [await ask(), await ask()];
}

const got = await (name === "apollo" ? apollo() : urql());
process.stdout.write(JSON.stringify({ sent, got: got.map((data) => data.leaderboard.totalCount) }));
