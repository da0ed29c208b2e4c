import { createClient } from "graphql-ws"; // npm install graphql graphql-ws

const client = createClient({
  url: "ws://127.0.0.1:8000/graphql",
  // connectionParams: { authorization: `Bearer ${key}` }, // without one, an address may subscribe 60 times a minute
  retryAttempts: Infinity, // connects again by itself, and is shown the top as it is then
  shouldRetry: () => true,
});
const query = "subscription { topChanged(first: 3) { sequence entries { rank username totalScore } } }";

for await (const { data, errors } of client.iterate({ query })) {
  if (errors) throw new Error(errors[0].message);
  const { sequence, entries } = data.topChanged;
  console.log(sequence, entries.map((e) => `${e.rank}. ${e.username} ${e.totalScore}`).join(", "));
}
