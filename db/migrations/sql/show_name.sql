-- Let a player be shown under a name, if the player's newest session is the one played at `p_last_played`.
-- The row of the standing first, then the player's: the order in which every batch takes them.
create or replace function show_name(
    p_bucket smallint,
    p_user_id bigint,
    p_last_played timestamptz,
    p_username text
) returns void
language sql
-- As record_sessions: the service's role may not write to the tables by itself.
security definer
set search_path = public, pg_temp
as $$
    with changed as (
        update leaderboard as l
        set revision = l.revision + 1, changed_xid = pg_current_xact_id()
        from players as p
        where l.bucket = p_bucket and l.board_id = 1 and l.user_id = p_user_id and l.last_played = p_last_played
            and p.bucket = l.bucket and p.user_id = l.user_id and p.username <> p_username
            and exists (select from bucket_owner as o where o.bucket = l.bucket and o.state = 'owned')
        returning l.bucket, l.user_id
    )
    update players as p set username = p_username
    from changed as c
    where p.bucket = c.bucket and p.user_id = c.user_id
$$;
