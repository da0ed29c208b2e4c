-- Make the monthly partitions of game_sessions that are missing; gives the first days of those that were made.
-- The name of a partition and its bounds follow from the month (see db/partitions.py and domain/ids.py).
create or replace function make_session_months(p_months date[]) returns setof date
language plpgsql
-- The service keeps months ready, and its role may make no table but such a one.
security definer
set search_path = public, pg_temp
as $$
declare
    v_month timestamp;
    v_name text;
begin
    -- Two makers at a time, of one shard, would trip over each other's partitions.
    perform pg_advisory_xact_lock(x'53485042'::bigint);  -- "SHPB"
    for v_month in select distinct date_trunc('month', m::timestamp) from unnest(p_months) as m order by 1 loop
        if v_month not between '1970-01-01' and '2199-12-01' then
            raise invalid_parameter_value using message = format('no session is of %s', to_char(v_month, 'YYYY-MM'));
        end if;
        v_name := 'game_sessions_' || to_char(v_month, 'YYYY_MM');
        if not exists (
            select
            from pg_inherits as i
            join pg_class as c on c.oid = i.inhrelid
            where i.inhparent = 'public.game_sessions'::regclass and c.relname = v_name
        ) then
            -- A CREATE … PARTITION OF would lock out writers of the parent; ATTACH needs only SHARE UPDATE EXCLUSIVE.
            execute format(
                'create table public.%I (like public.game_sessions including defaults including constraints)', v_name
            );
            execute format(
                'alter table public.game_sessions attach partition public.%I for values from (%L) to (%L)',
                v_name, first_uuid7(v_month), first_uuid7(v_month + interval '1 month')
            );
            return next v_month::date;
        end if;
    end loop;
end
$$;
