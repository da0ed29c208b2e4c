"""Every number that bounds waiting, trying again, giving up and shedding; times in seconds.

What an operator may choose for a deployment is a setting (app/settings.py): the deadline of a request, the time-outs of
Redis and of connecting. What is here follows from how the parts work together.
"""

from __future__ import annotations

# Deadlines. ------------------------------------------------------------------------------------------------------

STATEMENT_SHARE = 0.6
"""The part of a request's deadline that one statement may take: what comes after it has the rest."""

RANK_S_MAX, RANK_SHARE = 2.0, 0.7
"""Without Redis, how long the shards may take to count the rank that goes with a recorded score, and the part of that,
or of what is left until the deadline, after which the answer goes without: a rank is not worth a recorded score's."""

ID_CHECK_S_MIN, ID_CHECK_S_MAX = 0.12, 0.5
"""Whether an id is another player's is asked of all shards. One shard's player waits for another shard's answer as long
as the player's own usually takes, between these: many wait for one that hangs, until its breaker opens."""

MAP_ASK_S_MAX = 1.0
"""A shard that does not say in time what it owns is taken at its last word: others' players wait for the map."""

HEALTH_ASK_S_MAX = 1.0
"""A part that does not answer `GET /health` in time is disconnected."""

DRAIN_S_MAX = 10.0
"""What a removed shard accepted before is answered within so long, and so is what a process that stops accepted."""

STOP_S_MAX = 10.0
"""An API process of a local cluster that has not ended so long after it was told to is killed; requests take less."""

TRACES_FLUSH_S_MAX = 2.0
"""A process that ends waits so long for the collector to take its last traces; then they are lost."""

LINGER_S = 0.5
"""A process that ends leaves idle connections open for so long: a request that comes meanwhile is answered, and its
client told to connect anew, which reaches another process."""

DROP_S_MAX = 2.0
"""What a client still sends after an answer that ended its connection is read and dropped for so long: closed at once,
it would be reset, and lose the answer."""

# Read replicas. ---------------------------------------------------------------------------------------------------

REPLICA_LOOK_INTERVAL_S, REPLICA_LOOK_S_MAX = 0.5, 0.5
"""How often a process looks how far each replica has come, and how long its answer may take: one that is dead, hangs or
was promoted is left out within a second, whether anybody asks it or not."""

REPLICA_ASK_S_MAX = 0.25
"""A replica that has not answered a history so long after it was asked is not waited for: the primary is asked."""

REPLICA_PAGE_S_MAX = 1.0
"""The same for a page deep in a board, which takes a Postgres that is well some hundred milliseconds."""

REPLICA_REST_S = 2.0
"""A replica that did not answer a request in time is not asked again for so long, even if it answers a look."""

# Trying again: only what may be done twice, and never beyond the deadline of the request. -------------------------

STATEMENT_TRIES_MAX = 4
"""How often a batch is sent that met a conflict which the next try does not meet, the first time included."""

CONNECT_TRIES_MAX = 2
"""How often a batch, or a question, is sent whose connection broke. One that timed out is not sent again: its callers
are gone."""

REDIS_RETRIES_MAX = 1
"""A connection to Redis that broke while it was idle is opened anew. All scripts may run twice; a time-out is final."""

FOLLOW_FIRST_S, FOLLOW_GROWTH, FOLLOW_PAUSE_S_MAX = 0.006, 1.5, 0.1
"""The rests of a request that follows a moving bucket. A switch takes 10 to 40 ms, and a rest is what a player waits on
top of it; who waits for longer waits for something else."""

FOLLOW_S_MAX = 2.0
"""How long a request follows a moving bucket."""

MAP_INTERVAL_S = 0.5
"""A map with a silent shard in it is built anew at most so often."""

LISTEN_FIRST_S, LISTEN_PAUSE_S_MAX = 0.25, 1.0
"""The rests of the listener for changed boards, and of who tells of changes, while Redis is away."""

UPKEEP_FIRST_S, UPKEEP_PAUSE_S_MAX = 2.0, 10.0
"""The rests of the keeper of partitions after a failure."""

MOVE_FIRST_S, MOVE_PAUSE_S_MAX = 0.2, 4.0
"""The rests of a mover whose shard went away."""

# Upgrades. --------------------------------------------------------------------------------------------------------

MIGRATION_LOCK_S_MAX = 0.2
"""How long a migration waits for a lock at a time: whoever else wants the table waits behind it for so long."""

MIGRATION_FIRST_S, MIGRATION_PAUSE_S_MAX = 0.2, 2.0
"""The rests between two such waits, in which everybody else has their turn."""

MIGRATION_S_MAX = 60.0
"""How long a migration tries to get its locks. What holds them longer has to be ended by an operator."""

MIGRATION_BUILD_S_MAX = 600.0
"""How long one outside of a transaction, which locks nobody out, waits for transactions that were there before it."""

MIGRATOR_S_MAX = 10.0
"""How long a second migrator waits for the first one before it is told who that is."""

SERVING_INTERVAL_S = 5.0
"""How often a process says that it serves a shard."""

SERVING_FORGOTTEN_S = 30.0
"""A process that did not say so for so long serves no more: a contract migration may break it."""

# Circuit breakers. ------------------------------------------------------------------------------------------------

SHARD_DOUBT_S = 0.5
"""A statement that has no answer for so long raises doubts whether its shard answers at all: the shard is probed."""

REDIS_DOUBT_S = 0.25
"""The same for a command to Redis, which takes milliseconds when all is well."""

SHARD_PROBE_S_MAX, REDIS_PROBE_S_MAX = 1.0, 0.8
"""How long the answer to a probe may take; that of a shard begins with a connection of its own. On starved cores a
Redis that is well takes half a second at times, and one taken for away costs every answer its rank."""

ENTRANCE_S_MAX = 0.6
"""Where a shard has several PgBouncers, how long one may take to let a connection in or to answer a probe. One that
takes longer is left out, and the others serve; it is less than the probe of the whole shard may take."""

SENTINEL_S_MAX = 0.25
"""How long one Sentinel may take to say who is the master, before the next is asked: within a probe of Redis, even
where two of three do not answer."""

PROBE_FIRST_S, PROBE_PAUSE_S_MAX = 0.1, 0.8
"""The rests between two probes of a part that is away: it is used again within a second of its return."""

DOUBT_REST_S = 0.5
"""A part that has just been probed is not doubted again for so long: one slow statement is not worth a connection."""

RETRY_AWAY_S = 1
"""What a client of a part that is away is told to wait: about as long as it takes to find out that it is back."""

# Shedding. --------------------------------------------------------------------------------------------------------

QUEUE_GRACE_S = 0.5
"""How long a queue may be behind before anything is refused: a burst or a short stall is waited out."""

QUEUE_AGE_S_MAX = 0.3
"""In a queue that is behind for longer, how long the oldest entry may have waited where one more is accepted. With the
rest of its way, an accepted request is answered within half a second."""

UNDER_WAY_MIN, UNDER_WAY_USUAL, UNDER_WAY_MAX = 32, 128, 512
"""Requests that a process works on at once: the limit that it begins with and the ends between which that moves."""

UNDER_WAY_FREE = 40
"""So many are let in beside these, neither counted nor timed: a process with little to do has none to refuse."""

ANSWER_S_AIM = 0.12
"""What half of the requests that wait for anything are answered within: nearly all then are within half a second."""

ANSWER_WINDOW_S = 0.1
"""Over so long their times are gathered before the limit changes."""

ANSWERS_MIN = 8
"""Fewer of them tell nothing."""

INSTANT_S = 0.01
"""A request that is answered sooner did not wait."""

CUT_MAX = 0.5
"""The least factor by which the limit falls at once."""

GROWTH = 1.1
"""The factor by which it grows while it is used and times are good."""

UNDER_WAY_S_MAX = 0.5
"""A request that is under way for longer waits for another part and is counted no more: a shard that hangs must not
take the places of other shards' players."""

BYTES_A_PLACE = 8192
"""A request takes one place, and one more for every so many bytes of its body: bulk counts by its inputs."""

RETRY_SHED_S = 1
"""What a client is told to wait whose request was shed."""
