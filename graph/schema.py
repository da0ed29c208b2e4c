"""The schema that is served."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.mutations import Mutation
from graph.queries import Query
from graph.scalars import SCALARS
from graph.subscriptions import Subscription

SCHEMA = strawberry.Schema(
    query=Query, mutation=Mutation, subscription=Subscription, config=StrawberryConfig(scalar_map=SCALARS)
)

GRAPHQL_SCHEMA = SCHEMA._schema
"""The same schema as graphql-core knows it: what documents are validated against and executed on."""
