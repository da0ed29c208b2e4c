-- A process says that it serves, and is told which schema the tables have and how far they were contracted.
-- It waits for a contract migration under way, which locks the list: who comes after it sees what it did.
create or replace function note_serving(
    p_process uuid, p_version text, p_schema_known text, p_host text, p_pid integer
) returns table (revision text, contracted_to text)
language plpgsql
-- The service's role writes to no table.
security definer
set search_path = public, pg_temp
as $$
begin
    insert into serving_processes as s (process_id, version, schema_known, host, pid, seen_at)
    values (p_process, left(p_version, 64), left(p_schema_known, 64), left(p_host, 255), p_pid, now())
    on conflict on constraint serving_processes_pkey do update set seen_at = excluded.seen_at;
    delete from serving_processes where seen_at < now() - interval '1 hour';
    return query select v.version_num::text, i.contracted_to from alembic_version as v, shard_info as i;
end
$$;
