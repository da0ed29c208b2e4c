"""The monthly partitions of `game_sessions`: made ahead, listed, and dropped when old."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.postgres import Postgres

_LOCK_TIMEOUT_S = 30

_LIST = text("""
    select
        c.relname as name,
        pg_total_relation_size(c.oid) as bytes,
        c.reltuples::bigint as sessions_estimated,
        i.inhdetachpending as detaching
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'game_sessions'::regclass
    order by c.relname
""")

_NAMES = (
    "select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where i.inhparent = $1::regclass"
)

_MAKE = text("select make_session_months(cast(:months as date[]))")

_LIST_DETACHED = text("""
    select c.relname
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace
        and c.relkind = 'r'
        and not c.relispartition
        and c.relname ~ '^game_sessions_[0-9]{4}_[0-9]{2}$'
    order by c.relname
""")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC; its partition holds the sessions whose id carries a time in it."""

    year: int
    number: int

    @classmethod
    def of(cls, instant: datetime) -> Month:
        """The month that `instant` lies in."""
        utc = instant.astimezone(UTC)
        return cls(utc.year, utc.month)

    def plus(self, months: int) -> Month:
        """The month so many months later (or earlier, where negative)."""
        years, index = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, index + 1)

    @property
    def start(self) -> datetime:
        """The first instant of the month."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def partition(self) -> str:
        """The name of the month's partition."""
        return f"game_sessions_{self.year:04}_{self.number:02}"

    @classmethod
    def of_partition(cls, name: str) -> Month:
        """The month whose partition is called `name`."""
        year, number = name.removeprefix("game_sessions_").split("_")
        return cls(int(year), int(number))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of sessions on one shard; `sessions_estimated` is the planner's count, −1 before the first analyze."""

    month: Month
    bytes: int
    sessions_estimated: int
    detaching: bool


def months_between(first: Month, last: Month) -> list[Month]:
    """Every month from `first` to `last`, both included."""
    count = (last.year - first.year) * 12 + last.number - first.number + 1
    return [first.plus(i) for i in range(count)]


def months_to_keep_ready(today: date | datetime, back_days: int, months_ahead: int) -> list[Month]:
    """The months that submissions may fall into: from the oldest id that is accepted to `months_ahead` from now."""
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    oldest = Month.of(datetime.fromtimestamp(now.timestamp() - back_days * 86_400, UTC))
    return months_between(oldest, Month.of(now).plus(months_ahead))


async def list_partitions(connection: AsyncConnection) -> list[Partition]:
    """The partitions of a shard, oldest first."""
    rows = await connection.execute(_LIST)
    return [
        Partition(Month.of_partition(row.name), row.bytes, max(row.sessions_estimated, -1), row.detaching)
        for row in rows
    ]


async def count_months_ahead(postgres: Postgres, now: datetime) -> int:
    """How many whole months after the present one have a partition, up to the first that has none.

    Raises:
        Unavailable: the shard does not answer.
    """
    made = {name for (name,) in await postgres.call(_NAMES, "game_sessions")}
    ahead = 0
    while Month.of(now).plus(ahead + 1).partition in made:
        ahead += 1
    return ahead


async def list_detached(connection: AsyncConnection) -> list[Month]:
    """The months that are tables still, but no partitions any more: somebody was stopped between detach and drop."""
    return [Month.of_partition(name) for name in (await connection.execute(_LIST_DETACHED)).scalars()]


async def make_partitions(connection: AsyncConnection, months: Iterable[Month]) -> list[Month]:
    """Make those of `months` that are missing, in the caller's transaction; returns those that it made."""
    days = [month.start.date() for month in months]
    return [Month(day.year, day.month) for day in (await connection.execute(_MAKE, {"months": days})).scalars()]


async def detach_partition(connection: AsyncConnection, month: Month, *, finalize: bool) -> None:
    """Detach a month without locking out readers or writers; needs a connection in autocommit."""
    how = "finalize" if finalize else "concurrently"
    await connection.execute(text(f"alter table game_sessions detach partition {month.partition} {how}"))


async def limit_lock_waits(connection: AsyncConnection) -> None:
    """Let no statement of this connection wait for a lock for more than half a minute."""
    await connection.execute(text(f"set lock_timeout = '{_LOCK_TIMEOUT_S}s'"))


async def drop_detached(connection: AsyncConnection, month: Month) -> None:
    """Drop the table of a month that was detached."""
    await connection.execute(text(f"drop table if exists {month.partition}"))


async def set_pruned_before(connection: AsyncConnection, instant: datetime) -> None:
    """Remember that sessions older than `instant` are gone, so that none of them is taken for a new one."""
    await connection.execute(
        text("update shard_info set pruned_before = greatest(pruned_before, :instant)"), {"instant": instant}
    )


async def read_pruned_before(connection: AsyncConnection) -> datetime | None:
    """The instant before which this shard's sessions were pruned; None where none were."""
    instant: datetime | None = await connection.scalar(text("select pruned_before from shard_info"))
    return instant
