-- The bucket of a user id: the first 12 bits of SHA-256 of its decimal text; sharding/placement.py says the same.
create function bucket_of(p_user_id bigint) returns smallint
language sql
immutable
strict
parallel safe
return (
    (get_byte(sha256(convert_to(p_user_id::text, 'UTF8')), 0) << 4)
    | (get_byte(sha256(convert_to(p_user_id::text, 'UTF8')), 1) >> 4)
)::smallint;
