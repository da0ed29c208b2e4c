-- Give frozen buckets away. From the commit on `p_target` owns them, each since its next epoch: the point of no return.
--
-- Gives them with these epochs; nothing, and nothing is done, where one of them is no longer frozen or its freeze has
-- run out: somebody may have written to it since it was compared. Raises as freeze_buckets does.
create or replace function release_buckets(
    p_buckets smallint[],
    p_target text,
    p_lock_ms integer
) returns table (bucket smallint, epoch bigint)
language plpgsql
as $$
#variable_conflict use_column
begin
    perform set_config('lock_timeout', p_lock_ms || 'ms', true);
    -- A batch that found a freeze run out may be under way: without this lock it could commit after the check below.
    lock table bucket_owner in exclusive mode;
    if (
        select count(*)
        from bucket_owner
        where bucket = any (p_buckets) and state = 'frozen' and frozen_until > clock_timestamp()
    ) <> cardinality(p_buckets) then
        return;
    end if;
    return query
    with released as (
        delete from bucket_owner where bucket = any (p_buckets) returning bucket, epoch
    )
    insert into bucket_handover as h (bucket, epoch, target)
    select r.bucket, r.epoch + 1, p_target
    from released as r
    on conflict on constraint bucket_handover_pkey do update set epoch = excluded.epoch, target = excluded.target
    returning h.bucket, h.epoch;
end
$$;
