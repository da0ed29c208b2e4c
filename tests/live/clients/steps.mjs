// What every client does: a query, a subscription that greets, a mutation, and the change that it makes.
const TOP = "query Top($first: Int!) { leaderboard(first: $first) { nodes { userId totalScore } } }";
const SUBMIT = `
  mutation Submit($input: SubmitScoreInput!) {
    submitScore(input: $input) { duplicate standing { rank totalScore } }
  }`;
const WATCH = "subscription Watch($first: Int!) { topChanged(first: $first) { entries { userId totalScore } } }";
const REFUSED = "subscription { topChanged(first: 0) { board } }";

/**
 * Prints what the client got, as JSON.
 *
 * `execute(document, variables)` gives the data of a query or mutation; `watch(document, variables, next, failed)` calls
 * `next` with the data of each event, or `failed` with the messages of the errors, and gives what ends it.
 */
export async function run({ execute, watch }) {
  const before = await execute(TOP, { first: 2 });
  const seen = [];
  const waiting = [];
  const stop = watch(
    WATCH,
    { first: 2 },
    (data) => {
      seen.push(data.topChanged);
      waiting.shift()?.();
    },
    (messages) => {
      throw new Error(messages.join());
    },
  );
  const change = (number) => (seen.length > number ? undefined : new Promise((resolve) => waiting.push(resolve)));
  await change(0);
  const input = { userId: "42", username: "Ada", score: 7 };
  const submitted = await execute(SUBMIT, { input });
  await change(1);
  stop();
  const refused = await new Promise((resolve, reject) => {
    watch(REFUSED, {}, () => reject(new Error("it was not refused")), resolve);
  });
  process.stdout.write(JSON.stringify({ before, seen, submitted, refused }));
}
