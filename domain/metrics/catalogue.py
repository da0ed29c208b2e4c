"""Every metric of the service. No label has values that clients choose: their number is that of shards and code."""

from __future__ import annotations

from domain.metrics.instruments import Metrics

METRICS = Metrics()

_REQUEST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FLUSH_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FANOUT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0)

# Requests. --------------------------------------------------------------------------------------------------------

REQUEST_DURATION = METRICS.histogram(
    "shardboard_request_duration_seconds",
    "From a request's head to its answer, by root field or route and by the contract's code; a subscription counts "
    "until it is accepted.",
    "protocol",
    "operation",
    "code",
    bounds=_REQUEST_S,
)
REFUSALS = METRICS.counter(
    "shardboard_refusals",
    "Requests refused: rate_limit, overload (shed, or a shard's queue is full), access.",
    "reason",
)
ANSWER_CACHE = METRICS.counter(
    "shardboard_answer_cache", "Asked for a board's top: hit (kept bytes, or shared with who asked just before), miss.",
    "result",
)  # fmt: skip

# Shards. ----------------------------------------------------------------------------------------------------------

BATCH_SIZE = METRICS.histogram(
    "shardboard_batch_size", "Submissions of one batch to a shard.", "shard", bounds=_ROWS
)  # fmt: skip
FLUSH_DURATION = METRICS.histogram(
    "shardboard_flush_duration_seconds", "From sending a batch to its answers, further tries included.", "shard",
    bounds=_FLUSH_S,
)  # fmt: skip
WRITE_QUEUE_DEPTH = METRICS.gauge(
    "shardboard_write_queue_depth", "Submissions that wait for a shard and are not yet under way.", "shard"
)
POOL_CONNECTIONS = METRICS.gauge(
    "shardboard_pool_connections", "Connections to a shard: busy or idle.", "shard", "state"
)
POOL_CONNECTIONS_MAX = METRICS.gauge(
    "shardboard_pool_connections_max", "So many connections to a shard may be open.", "shard"
)
SHARD_UP = METRICS.gauge(
    "shardboard_shard_up", "Whether a shard answers every process: 1 or 0.", "shard", merge="min"
)  # fmt: skip
PARTITIONS_AHEAD = METRICS.gauge(
    "shardboard_partitions_ahead", "Whole months made ahead of the present one, without a gap.", "shard", merge="min"
)
REPLICA_USED = METRICS.gauge(
    "shardboard_replica_used", "Whether a replica answers reads of every process: 1 or 0.", "shard", "replica",
    merge="min",
)  # fmt: skip
REPLICA_LAG_SECONDS = METRICS.gauge(
    "shardboard_replica_lag_seconds", "How far a replica was behind when last looked at; none where that is not known.",
    "shard", "replica", merge="max",
)  # fmt: skip
BUCKET_MOVES = METRICS.gauge(
    "shardboard_bucket_moves", "Recorded moves of buckets by their phase, over all shards.", "state", merge="max"
)

# Ranks. -----------------------------------------------------------------------------------------------------------

REDIS_UP = METRICS.gauge("shardboard_redis_up", "Whether Redis answers every process: 1 or 0.", merge="min")
RELAY_LAG_ROWS = METRICS.gauge(
    "shardboard_relay_lag_rows",
    "Rows of a shard that the ranks lacked when its relay last looked; while that cannot be told, rows changed since.",
    "shard",
    merge="max",
)
RELAY_LAG_SECONDS = METRICS.gauge(
    "shardboard_relay_lag_seconds", "Since when the relay has not seen the ranks hold all of a shard.", "shard",
    merge="max",
)  # fmt: skip
PROJECTION_DRIFT = METRICS.gauge(
    "shardboard_projection_drift", "Standings that Redis lacks or has otherwise, when last looked at.", "board",
    merge="max",
)  # fmt: skip

# Players and watchers. --------------------------------------------------------------------------------------------

ACTIVE_PLAYERS = METRICS.gauge(
    "shardboard_active_players", "About how many players submitted in the last 5 minutes, over all processes.",
    merge="max",
)  # fmt: skip
WATCHERS = METRICS.gauge("shardboard_watchers", "Who watches a board now.", "transport")
FANOUT_DURATION = METRICS.histogram(
    "shardboard_fanout_duration_seconds", "From a changed top to its payload handed to all who watch it alike.",
    bounds=_FANOUT_S,
)  # fmt: skip

# Processes. -------------------------------------------------------------------------------------------------------

PROCESSES = METRICS.gauge("shardboard_processes", "API processes that run on this machine.")
PROCESS_CPU = METRICS.counter("shardboard_process_cpu_seconds", "Processor time of the API processes.")
PROCESS_MEMORY = METRICS.gauge("shardboard_process_resident_bytes", "Memory of the API processes.")
LOOP_LATENESS = METRICS.gauge(
    "shardboard_loop_lateness_seconds", "How late the event loop of the latest process ran a timer.", merge="max"
)
