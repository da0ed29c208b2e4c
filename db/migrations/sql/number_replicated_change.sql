-- A standing that comes from another shard gets this shard's transaction id: the relay of this shard, which would not
-- understand the other's, then carries it into the ranks where they lack it.
create or replace function number_replicated_change() returns trigger
language plpgsql
as $$
begin
    new.changed_xid := pg_current_xact_id();
    return new;
end
$$;
