"""What pages may load (their Content-Security-Policy), and the page that is shown while the board is not built."""

from __future__ import annotations

import base64
import hashlib

# Nothing beyond this service is loaded, framed or sent to.
_NOTHING = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_APPLICATION = f"{_NOTHING}; script-src 'self'; connect-src 'self'; img-src 'self' data:"

BOARD_POLICY = f"{_APPLICATION}; style-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'"
# Monaco, GraphiQL's editor, sets styles as attributes and elements while it runs, brings its fonts as data: and its
# language services as workers.
GRAPHIQL_POLICY = (
    f"{_APPLICATION}; style-src 'self' 'unsafe-inline'; font-src 'self' data:; worker-src 'self'; form-action 'none'"
)
# Swagger UI sets styles from its script alone, and has its icons as data:.
DOCS_POLICY = f"{_APPLICATION}; style-src 'self'; font-src 'self'; form-action 'none'"

_MISSING_STYLE = """
:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif }
body { max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem }
code { font-family: ui-monospace, monospace; font-size: 0.95em }
"""
_MISSING_STYLE_HASH = base64.b64encode(hashlib.sha256(_MISSING_STYLE.encode()).digest()).decode()

MISSING_POLICY = f"{_NOTHING}; form-action 'none'; style-src 'sha256-{_MISSING_STYLE_HASH}'"
MISSING_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shardboard</title>
<style>{_MISSING_STYLE}</style>
<h1>Shardboard is up; the board is not built</h1>
<p>The API works: it is at <a href="/graphql"><code>/graphql</code></a>, and <a href="/health"><code>/health</code></a>
says how it is.</p>
<p>To build the board in the browser and GraphiQL, run <code>make web</code> where the service was installed, then
reload this page. It brings its own Node.js, or uses one of version 20.19 or newer.</p>
</html>
"""

NOT_FOUND = (
    "There is nothing here. The board is at /, the API at /graphql and /api/, the service's health at /health.\n"
)
