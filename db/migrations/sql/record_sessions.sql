-- Record a batch of sessions: one statement, one transaction, one answer a row (in the order given).
--
-- A function, because its plan is then kept by the server's own session: through a PgBouncer without prepared
-- statements a plain statement of this size would be planned anew for every batch.
--
-- outcome: recorded | duplicate (same id, same content) | conflict (same id, other content) | frozen (the bucket is
-- being moved) | moved (this shard does not own the bucket). total, games and last_played are the standing right after
-- that session; the board_ columns the player's row as this batch left it, null where the batch did not change it.
--
-- Order of locks: bucket_owner as a whole, leaderboard rows by (bucket, user_id), then session ids, then players. Every
-- batch takes them so.
create or replace function record_sessions(
    p_ids uuid[],
    p_played_ms bigint[],
    p_buckets smallint[],
    p_user_ids bigint[],
    p_usernames text[],
    p_scores bigint[],
    p_game_modes text[],
    p_durations integer[],
    p_recorded_us bigint[],
    p_rename boolean
) returns table (
    outcome text,
    total bigint,
    games bigint,
    last_played timestamptz,
    board_total bigint,
    board_games bigint,
    board_last_played timestamptz,
    board_revision bigint
)
language plpgsql
-- The service's role writes through this function and may write to none of its tables by itself.
security definer
set search_path = public, pg_temp
-- A table that was empty when the plan was made must not be read from end to end when it has grown.
set enable_seqscan = off
-- The planner takes the rows of a batch for one or two, and would join them with each other in a loop.
set enable_nestloop = off
-- On 15, what is switched off counts as dear enough to be compiled.
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    -- Whoever freezes buckets or gives them away waits for this lock, and so for every batch that still saw them as its
    -- own; the statement below looks at bucket_owner only after it got it.
    lock table bucket_owner in row share mode;
    return query
    with submitted as materialized (
        -- generate_series and not unnest: the planner takes it for a thousand rows and joins by hash; it takes an
        -- array of unknown length for ten, and joins in a loop.
        select
            i as ord,
            p_ids[i] as id,
            p_buckets[i] as bucket,
            p_user_ids[i] as user_id,
            p_usernames[i] as username,
            p_scores[i] as score,
            p_game_modes[i] as game_mode,
            p_durations[i] as duration_seconds,
            timestamptz 'epoch' + p_played_ms[i] * interval '1 millisecond' as played_at,
            timestamptz 'epoch' + p_recorded_us[i] * interval '1 microsecond' as recorded_at
        from generate_series(1, cardinality(p_ids)) as i
    ),
    known as materialized (
        select
            s.*,
            o.state,
            p.id as prior_id,
            p.total_after as prior_total,
            p.games_after as prior_games,
            p.last_played_after as prior_last_played,
            p.recorded_at as prior_recorded_at,
            (p.user_id, p.username, p.score, p.game_mode, p.duration_seconds)
                is not distinct from (s.user_id, s.username, s.score, s.game_mode, s.duration_seconds) as prior_same
        from submitted as s
        left join lateral (
            -- A freeze ends by itself: a mover that died keeps nobody from playing.
            select case when b.state = 'frozen' and b.frozen_until <= clock_timestamp() then 'owned' else b.state end
                as state
            from bucket_owner as b
            where b.bucket = s.bucket
            limit 1
        ) as o on true
        left join lateral (
            select g.* from game_sessions as g where g.id = s.id limit 1
        ) as p on true
    ),
    firsts as materialized (
        select distinct on (k.id) k.*
        from known as k
        where k.state = 'owned' and k.prior_id is null
        order by k.id, k.ord
    ),
    fresh as materialized (
        select
            f.*,
            coalesce(sum(f.score) over later, 0)::bigint as later_score,
            count(*) over later as later_games,
            -- Whose name counts: the last one given, or the one given with the newest session.
            row_number() over (
                partition by f.user_id order by case when p_rename then f.ord end desc, f.id desc
            ) = 1 as is_naming
        from firsts as f
        window later as (
            partition by f.user_id order by f.ord rows between 1 following and unbounded following
        )
    ),
    changed as (
        insert into leaderboard as l (
            bucket, board_id, user_id, total_score, games_played, last_played, revision, changed_xid
        )
        select f.bucket, 1, f.user_id, sum(f.score)::bigint, count(*), max(f.played_at), 1, pg_current_xact_id()
        from fresh as f
        group by f.bucket, f.user_id
        order by f.bucket, f.user_id
        on conflict on constraint leaderboard_pkey do update set
            total_score = l.total_score + excluded.total_score,
            games_played = l.games_played + excluded.games_played,
            last_played = greatest(l.last_played, excluded.last_played),
            revision = l.revision + 1,
            changed_xid = excluded.changed_xid
        returning l.user_id, l.total_score, l.games_played, l.last_played, l.revision
    ),
    recorded as (
        insert into game_sessions (
            id, user_id, bucket, score, duration_seconds, recorded_at,
            total_after, games_after, last_played_after, username, game_mode
        )
        select
            f.id, f.user_id, f.bucket, f.score, f.duration_seconds, f.recorded_at,
            c.total_score - f.later_score, c.games_played - f.later_games, c.last_played, f.username, f.game_mode
        from fresh as f
        join changed as c on c.user_id = f.user_id
        returning id, total_after, games_after, last_played_after
    ),
    named as (
        -- A player's row is touched only for a new name. The comparison is with the state before this statement;
        -- where another transaction came between (the revision jumped), the name is written in any case.
        insert into players as p (bucket, user_id, username, created_at)
        select f.bucket, f.user_id, f.username, f.recorded_at
        from fresh as f
        join changed as c on c.user_id = f.user_id
        left join lateral (
            select q.username from players as q where q.bucket = f.bucket and q.user_id = f.user_id limit 1
        ) as old on true
        left join lateral (
            select b.revision
            from leaderboard as b
            where b.bucket = f.bucket and b.board_id = 1 and b.user_id = f.user_id
            limit 1
        ) as before on true
        where f.is_naming
            and (p_rename or f.played_at >= c.last_played)
            and (old.username is distinct from f.username or c.revision <> coalesce(before.revision, 0) + 1)
        order by f.bucket, f.user_id
        on conflict on constraint players_pkey do update set username = excluded.username
        where p.username <> excluded.username
    )
    select
        case
            when k.state is null then 'moved'
            when k.state <> 'owned' then 'frozen'
            when k.prior_id is not null and not k.prior_same then 'conflict'
            -- The service's own second try of a batch whose answer got lost.
            when k.prior_id is not null and k.prior_recorded_at = k.recorded_at then 'recorded'
            when k.prior_id is not null then 'duplicate'
            when f.ord = k.ord then 'recorded'
            when (f.user_id, f.username, f.score, f.game_mode, f.duration_seconds)
                is not distinct from (k.user_id, k.username, k.score, k.game_mode, k.duration_seconds) then 'duplicate'
            else 'conflict'
        end,
        coalesce(k.prior_total, r.total_after),
        coalesce(k.prior_games, r.games_after),
        coalesce(k.prior_last_played, r.last_played_after),
        c.total_score,
        c.games_played,
        c.last_played,
        c.revision
    from known as k
    left join fresh as f on f.id = k.id
    left join recorded as r on r.id = k.id
    left join changed as c on c.user_id = k.user_id
    order by k.ord;
end
$$;
