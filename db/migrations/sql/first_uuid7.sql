-- The smallest UUID whose first 48 bits are an instant in UTC, in milliseconds: the bound between two partitions.
create or replace function first_uuid7(p_instant timestamp) returns uuid
language sql
immutable
strict
parallel safe
return (
    lpad(to_hex((extract(epoch from p_instant) * 1000)::bigint), 12, '0') || repeat('0', 20)
)::uuid;
