-- The newest sessions of several players, each with its own bounds; at least one row a player (id null: no session).
-- `mine` is false where this shard does not own the player's bucket: what it says of the player counts for nothing.
-- `games` is the number of the player's sessions of all time, pruned ones included.
create function read_history(
    p_buckets smallint[],
    p_user_ids bigint[],
    p_befores uuid[],
    p_game_modes text[],
    p_limits integer[]
) returns table (
    ord integer,
    mine boolean,
    games bigint,
    id uuid,
    score bigint,
    game_mode text,
    duration_seconds integer
)
language plpgsql
stable
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
    select i, o.bucket is not null, b.games_played, s.id, s.score, s.game_mode, s.duration_seconds
    from generate_series(1, cardinality(p_user_ids)) as i
    left join lateral (
        select w.bucket from bucket_owner as w where w.bucket = p_buckets[i] limit 1
    ) as o on true
    left join lateral (
        select l.games_played
        from leaderboard as l
        where l.bucket = p_buckets[i] and l.board_id = 1 and l.user_id = p_user_ids[i]
        limit 1
    ) as b on true
    left join lateral (
        select g.id, g.score, g.game_mode, g.duration_seconds
        from game_sessions as g
        where g.user_id = p_user_ids[i]
            and g.id < p_befores[i]
            and (p_game_modes[i] is null or g.game_mode = p_game_modes[i])
        order by g.id desc
        limit p_limits[i]
    ) as s on true
    order by i, s.id desc;
end
$$;
