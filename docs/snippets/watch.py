import asyncio

from gql import Client, gql  # pip install "gql[websockets]"
from gql.transport.websockets import WebsocketsTransport

TOP = gql("subscription { topChanged(first: 3) { sequence entries { rank username totalScore } } }")


async def main() -> None:
    # With init_payload={"authorization": f"Bearer {key}"}; without, an address may subscribe 60 times a minute.
    transport = WebsocketsTransport(url="ws://127.0.0.1:8000/graphql")
    async with Client(transport=transport) as session:
        async for data in session.subscribe(TOP):
            top = data["topChanged"]
            entries = ", ".join(f"{e['rank']}. {e['username']} {e['totalScore']}" for e in top["entries"])
            print(top["sequence"], entries, flush=True)


asyncio.run(main())
