const query = "subscription { topChanged(first: 3) { sequence entries { rank username totalScore } } }";
// An EventSource sends no headers, so it has no key: an address may subscribe 60 times a minute. graphql-sse can send one.
const events = new EventSource(`http://127.0.0.1:8000/graphql?query=${encodeURIComponent(query)}`);

events.addEventListener("next", (event) => {
  const { data, errors } = JSON.parse(event.data);
  if (errors) throw new Error(errors[0].message);
  const { sequence, entries } = data.topChanged;
  console.log(sequence, entries.map((e) => `${e.rank}. ${e.username} ${e.totalScore}`).join(", "));
});
events.addEventListener("complete", () => events.close()); // else the browser would ask again
