-- Queues of which nothing is delivered until they are resumed.
CREATE TABLE IF NOT EXISTS {paused} (queue text COLLATE "C" PRIMARY KEY);

-- Takes up to most messages, from the second queue only what the first cannot fill. When there
-- are none, one row without an id says how many seconds from now there will be.
CREATE OR REPLACE FUNCTION {claim}(
    queues text[], most integer, lease double precision, holder bigint
) RETURNS TABLE (queue text, id text, attempt integer, body bytea, seconds double precision)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    asked text;
    room integer := most;
    taken integer;
    moment timestamptz;
BEGIN
    FOREACH asked IN ARRAY queues LOOP
        CONTINUE WHEN EXISTS (SELECT FROM {paused} AS resting WHERE resting.queue = asked);
        moment := clock_timestamp();
        RETURN QUERY
            WITH due AS MATERIALIZED (
                SELECT waiting.queue, waiting.id FROM {table} AS waiting
                WHERE waiting.queue = asked AND waiting.visible_at <= moment
                ORDER BY waiting.queue, waiting.visible_at, waiting.seq
                LIMIT room FOR UPDATE SKIP LOCKED
            )
            UPDATE {table} AS held
            SET visible_at = moment + make_interval(secs => lease), token = holder,
                attempt = held.attempt + 1
            FROM due WHERE held.queue = due.queue AND held.id = due.id
            RETURNING held.queue, held.id, held.attempt, held.body, 0.0::double precision;
        GET DIAGNOSTICS taken = ROW_COUNT;
        room := room - taken;
        EXIT WHEN room <= 0;
    END LOOP;
    IF room = most THEN
        SELECT min(next.visible_at) INTO moment
        FROM unnest(queues) AS name
        CROSS JOIN LATERAL (
            SELECT waiting.visible_at FROM {table} AS waiting WHERE waiting.queue = name
            ORDER BY waiting.queue, waiting.visible_at, waiting.seq LIMIT 1
        ) AS next
        WHERE NOT EXISTS (SELECT FROM {paused} AS resting WHERE resting.queue = name);
        RETURN QUERY SELECT NULL::text, NULL::text, 0, NULL::bytea,
            extract(epoch FROM moment - clock_timestamp())::double precision;
    END IF;
END
$body$;
