"""Subscriptions, and whatever else is asked over WebSocket (graphql-transport-ws) or Server-Sent Events (graphql-sse).

`groups` runs equal subscriptions once, `outbox` sends to one connection without ever waiting for another, `socket` and
`stream` speak the two protocols.
"""
