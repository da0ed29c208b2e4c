-- Stop writes to buckets until they are given away, thawed, or `p_bound_ms` have passed, and put a marker into the
-- stream of changes: who has the marker has every change that was made to the buckets before.
--
-- Gives the buckets that were frozen, each with the epoch since which they are owned here. Nothing is frozen unless all
-- are owned here. Raises lock_not_available where the batches under way do not end within `p_lock_ms`.
create or replace function freeze_buckets(
    p_buckets smallint[],
    p_move uuid,
    p_marker bigint,
    p_bound_ms integer,
    p_lock_ms integer
) returns table (bucket smallint, epoch bigint)
language plpgsql
as $$
#variable_conflict use_column
begin
    perform set_config('lock_timeout', p_lock_ms || 'ms', true);
    -- Waits for every batch that saw the buckets as owned; those that come now wait until this has committed.
    lock table bucket_owner in exclusive mode;
    if (
        select count(*)
        from bucket_owner
        where bucket = any (p_buckets)
            and (state = 'owned' or state = 'frozen' and frozen_until <= clock_timestamp())
    ) <> cardinality(p_buckets) then
        return;
    end if;
    insert into move_markers (move_id, number) values (p_move, p_marker);
    return query
    update bucket_owner
    set state = 'frozen', frozen_until = clock_timestamp() + p_bound_ms * interval '1 millisecond'
    where bucket = any (p_buckets)
    returning bucket_owner.bucket, bucket_owner.epoch;
end
$$;
