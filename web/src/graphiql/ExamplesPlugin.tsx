import { type GraphiQLPlugin, useGraphiQL, useGraphiQLActions } from "@graphiql/react";

import { type Example, EXAMPLES } from "./examples.ts";

const HEADER = '{"authorization": "Bearer …"}';

/**
 * A list of example operations; a click opens one in a tab, with variables made for it.
 *
 * `hasKey` says whether they are sent with a server key.
 */
function Examples({ hasKey }: { readonly hasKey: boolean }) {
  const actions = useGraphiQLActions();
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  // The editors load after the panel; what is put into them before would be lost.
  const ready = queryEditor !== undefined && variableEditor !== undefined;

  function open({ query, variables }: Example) {
    // A subscription would go on filling the answer of the next tab.
    actions.stop();
    // What somebody wrote is kept; an empty tab is used.
    if (queryEditor?.getValue().trim()) actions.addTab();
    queryEditor?.setValue(query);
    variableEditor?.setValue(variables ? JSON.stringify(variables(), null, 2) : "");
  }

  return (
    <section aria-label="Examples">
      <div className="graphiql-doc-explorer-title">Examples</div>
      <p className="examples-about">A click opens one in a tab of its own, ready to be run.</p>
      <p className="examples-about">
        {hasKey
          ? "All of them are sent with the server key of this set-up. To send another one, such as the admin key of cluster.json, write it into Headers: "
          : "To submit, write a server key or a player’s token into Headers: "}
        <code>{HEADER}</code>
      </p>
      <ul className="examples-list">
        {EXAMPLES.map((example) => (
          <li key={example.field}>
            <button
              type="button"
              disabled={!ready}
              onClick={() => {
                open(example);
              }}
            >
              <code>{example.field}</code>
              {example.about}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M4 6h16M4 12h16M4 18h10M17 15.5v5l4-2.5z" />
    </svg>
  );
}

export function examplesPlugin(hasKey: boolean): GraphiQLPlugin {
  return { title: "Examples", icon: Icon, content: () => <Examples hasKey={hasKey} /> };
}
