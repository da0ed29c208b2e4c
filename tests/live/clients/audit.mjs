// The audits of graphql-http, the reference implementation of the GraphQL-over-HTTP specification.
import { auditServer } from "graphql-http";

const [, , url] = process.argv;
const fetchFn = (address, options = {}) =>
  fetch(address, { ...options, headers: { ...options.headers, "graphql-require-preflight": "1" } });

const results = await auditServer({ url: `${url}/graphql`, fetchFn });
process.stdout.write(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
