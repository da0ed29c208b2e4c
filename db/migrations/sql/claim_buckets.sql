-- Let this shard know which buckets were given to it, each with its epoch. One that it owns already, or gave away at
-- that epoch or a later one, stays as it is: a claim can only add, and never take a bucket from anybody.
create or replace function claim_buckets(p_buckets smallint[], p_epochs bigint[]) returns void
language sql
-- The service's role carries a dead mover's word on, and may not write to bucket_owner by itself.
security definer
set search_path = public, pg_temp
as $$
    insert into bucket_owner (bucket, state, epoch)
    select k.bucket, 'owned', k.epoch
    from unnest(p_buckets, p_epochs) as k (bucket, epoch)
    where not exists (select from bucket_handover as h where h.bucket = k.bucket and h.epoch >= k.epoch)
    on conflict on constraint bucket_owner_pkey do nothing
$$;
