-- A process says that it serves no more.
create or replace function forget_serving(p_process uuid) returns void
language sql
security definer
set search_path = public, pg_temp
as $$
    delete from serving_processes where process_id = p_process;
$$;
