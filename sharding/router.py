"""Finds the shard that owns a player, and follows when the owner changes and when shards come and go.

A shard refuses what it does not own, so a map that is out of date costs a round trip and never a wrong write: the
router asks the shards again and sends what was refused to the new owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from db.history import HistoryRequest, HistoryRows
from db.postgres import Postgres
from db.scores import Outcomes
from domain.errors import Unavailable
from domain.requests import current_request
from domain.resilience.backoff import FOLLOW
from domain.resilience.limits import FOLLOW_S_MAX, ID_CHECK_S_MAX, ID_CHECK_S_MIN, RETRY_AWAY_S
from domain.submission import Submission
from sharding.members import Members
from sharding.shard import Shard

Answer = TypeVar("Answer")


class Router(Members):
    """Sends requests to the shards that own their players, whatever moves meanwhile."""

    async def record(self, submission: Submission) -> Outcomes:
        """Record a submission on the shard that owns its player.

        Raises:
            Unavailable: that shard does not answer, or the player's bucket kept moving for too long.
            BadUserInput: the total would leave its range.
        """
        for rest_s in FOLLOW.rests(FOLLOW_S_MAX):
            bucket, shard = await self.locate(submission.user_id)
            outcomes = await shard.writer.record(bucket, submission)
            if not _has_left(outcomes):
                return outcomes
            await self._follow(rest_s, [(bucket, shard.name)] if outcomes.outcome == "moved" else [])
        raise _still_moving(submission.user_id)

    async def record_all(self, submissions: Sequence[Submission]) -> list[Outcomes | Exception]:
        """`record` for many, each for itself: what became of it or its error, in order."""

        def begin(submission: Submission) -> asyncio.Future[Outcomes]:
            try:
                bucket, shard = self._locate_now(submission.user_id)
                return shard.writer.record(bucket, submission)
            except Unavailable:
                # Its shard was away when the map was built; `record` looks again.
                return asyncio.ensure_future(self.record(submission))

        outcomes = await asyncio.gather(*map(begin, submissions), return_exceptions=True)
        if any(isinstance(each, Outcomes) and each.outcome == "moved" for each in outcomes):
            await self.refresh()
        followed = await asyncio.gather(
            *(
                self.record(submission)
                for submission, each in zip(submissions, outcomes, strict=True)
                if _has_left(each)
            ),
            return_exceptions=True,
        )
        later = iter(followed)
        answers = [next(later) if _has_left(each) else each for each in outcomes]
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, (Outcomes, Exception))]

    async def is_anothers(self, submission: Submission) -> bool:
        """Whether the submission's id is that of another player's session, on whichever shard.

        The player's own shard is asked first: most such ids are a client's retries, and need no other shard then.
        Another that does not answer is left out: its ids cannot be checked, and other shards' players must not wait.

        Raises:
            Unavailable: it is another's, and the player's own shard does not say whether it is the player's, too: it
                may have been given to another player while it could not be checked.
        """
        own: Shard | None = None
        own_lacks_it = False
        # By the player's own shard: a slower one must not make its players wait, and starved cores slow all.
        patience_s = ID_CHECK_S_MIN
        with suppress(Unavailable, TimeoutError):
            _, own = self._locate_now(submission.user_id)
            patience_s = own.postgres.patience.seconds
            # It is needed for recording anyway, and knows best: a question that is under way, then this one.
            player = await own.find_player(submission.id, 2 * ID_CHECK_S_MAX)
            if player is not None:
                return player != submission.user_id
            own_lacks_it = True
        others = [shard for shard in self.shards.values() if shard is not own]
        players = await asyncio.gather(
            *(shard.find_player(submission.id, patience_s) for shard in others), return_exceptions=True
        )
        is_anothers = any(isinstance(player, int) and player != submission.user_id for player in players)
        if is_anothers and not own_lacks_it:
            raise Unavailable(
                f"The shard of player {submission.user_id} does not answer; try again with the same submissionId.",
                RETRY_AWAY_S,
            )
        return is_anothers

    async def history(self, user_id: int, request: Callable[[int], HistoryRequest]) -> HistoryRows:
        """Sessions of one player; `request` makes the request for the player's bucket.

        A replica may answer. One on which the player's bucket is not the shard's, be it that the bucket came or went
        after what the replica has seen, does not: then the primary says what holds now.

        Raises:
            Unavailable: the player's shard does not answer, or the player's bucket kept moving for too long.
        """
        for rest_s in FOLLOW.rests(FOLLOW_S_MAX):
            bucket, shard = await self.locate(user_id)
            if (current := current_request()) is not None:
                current.touch(shard.name)
            replica = shard.replicas.choose(user_id)
            rows = None if replica is None else await replica.history(request(bucket))
            if rows is None:
                rows = await shard.history.put(request(bucket))
            if rows is not None:
                return rows
            await self._follow(rest_s, [(bucket, shard.name)])
        raise _still_moving(user_id)

    async def scatter_keys(
        self,
        user_ids: Sequence[int],
        read: Callable[[Postgres, Sequence[tuple[int, int]]], Awaitable[tuple[dict[int, Answer], list[int]]]],
        *,
        from_replicas: bool = False,
    ) -> dict[int, Answer | Unavailable]:
        """Ask each shard that owns some of the players once, all at the same time.

        Args:
            read: asks one shard about (bucket, user id) pairs; answers by user id, and whom the shard does not own.
            from_replicas: whether replicas may answer.

        Returns:
            What is known, by user id; an `Unavailable` for every player of a shard that does not answer.
        """

        async def ask(shard: Shard, keys: Sequence[tuple[int, int]]) -> tuple[dict[int, Answer], list[int]]:
            replica = shard.replicas.choose_for_all([user_id for _, user_id in keys]) if from_replicas else None
            return await shard.read_behind(replica, lambda postgres: read(postgres, keys), lambda found: not found[1])

        answers: dict[int, Answer | Unavailable] = {}
        waiting: Sequence[int] = list(dict.fromkeys(user_ids))
        for rest_s in FOLLOW.rests(FOLLOW_S_MAX):
            groups: dict[Shard, list[tuple[int, int]]] = {}
            for user_id in waiting:
                try:
                    bucket, shard = await self.locate(user_id)
                except Unavailable as error:
                    answers[user_id] = error
                else:
                    groups.setdefault(shard, []).append((bucket, user_id))
            found = await asyncio.gather(*(ask(shard, keys) for shard, keys in groups.items()), return_exceptions=True)
            waiting = []
            moved: list[tuple[int, str]] = []
            for (shard, keys), result in zip(groups.items(), found, strict=True):
                if isinstance(result, Unavailable):
                    answers |= {user_id: result for _, user_id in keys}
                elif isinstance(result, BaseException):
                    raise result
                else:
                    answers |= result[0]
                    strangers = set(result[1])
                    waiting += result[1]
                    moved += [(bucket, shard.name) for bucket, user_id in keys if user_id in strangers]
            if not waiting:
                return answers
            await self._follow(rest_s, moved)
        return answers | {user_id: _still_moving(user_id) for user_id in waiting}

    async def scatter(self, read: Callable[[Postgres], Awaitable[Answer]]) -> list[Answer]:
        """Ask every shard, all at the same time.

        Raises:
            Unavailable: one of them does not answer.
        """
        return await asyncio.gather(*(read(shard.postgres) for shard in self.shards.values()))

    async def scatter_owned(
        self,
        read: Callable[[Postgres, Sequence[int]], Awaitable[Answer | None]],
        *,
        from_replicas: bool = False,
    ) -> list[Answer]:
        """Ask each shard about the buckets that it owns, all at the same time: each bucket on one shard alone.

        Args:
            read: asks one shard about buckets; answers None where the shard does not own all of them. Then all shards
                are asked again, by a newer map.
            from_replicas: whether replicas may answer; what this process acknowledged of late may be missing then.

        Raises:
            Unavailable: a shard does not answer, or buckets kept moving for too long.
        """

        async def ask(shard: Shard, buckets: Sequence[int]) -> Answer | None:
            replica = shard.replicas.choose_for_all([]) if from_replicas else None
            return await shard.read_behind(
                replica, lambda postgres: read(postgres, buckets), lambda found: found is not None
            )

        for rest_s in FOLLOW.rests(FOLLOW_S_MAX):
            asked = await self.locate_all()
            answers = await asyncio.gather(*(ask(shard, buckets) for shard, buckets in asked))
            known = [answer for answer in answers if answer is not None]
            if len(known) == len(asked):
                return known
            await self._follow(
                rest_s,
                [
                    (bucket, shard.name)
                    for (shard, buckets), answer in zip(asked, answers, strict=True)
                    if answer is None
                    for bucket in buckets
                ],
            )
        raise Unavailable("Players' data kept being moved between shards; try again shortly.")

    @property
    def staleness_s(self) -> float:
        """How old what replicas answer can be; 0 where none is used."""
        return max((shard.replicas.staleness_s for shard in self.shards.values()), default=0.0)

    async def _follow(self, rest_s: float, moved: Sequence[tuple[int, str]]) -> None:
        """Come back when another try is worth it.

        Args:
            moved: buckets with the shards that do not own them; where one has another owner by now, that is at once.
        """
        if moved:
            await self.refresh()
            owners = self.map.owners
            if any(owners[bucket] != name for bucket, name in moved):
                return
        await asyncio.sleep(rest_s)


def _has_left(outcome: Outcomes | BaseException) -> bool:
    """Whether the shard that was asked does not, or not now, own the player."""
    return isinstance(outcome, Outcomes) and outcome.outcome in ("moved", "frozen")


def _still_moving(user_id: int) -> Unavailable:
    return Unavailable(f"The data of player {user_id} is being moved; try again with the same submissionId.")
