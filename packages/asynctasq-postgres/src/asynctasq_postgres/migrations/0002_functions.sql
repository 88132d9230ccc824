-- Each function fixes its own plan: it finds rows by index, in order, and outdated statistics of a
-- queue that changes quickly cannot turn it into a scan of the backlog. Settings of a function end
-- with it, so it needs no session state, which is lost behind a pooler.
--
-- With statistics of an empty queue, all plans cost the same. So the lookup of a message allows
-- one plan only: BETWEEN id AND id can use only the index of ids, in one order of the join; and
-- queue || '' can use no index.

CREATE OR REPLACE FUNCTION {enqueue}(
    queues text[], ids text[], bodies bytea[], delays double precision[], tell boolean
) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    INSERT INTO {table} AS stored (queue, id, visible_at, body)
    SELECT new.queue, new.id, moment + make_interval(secs => new.delay), new.body
    FROM unnest(queues, ids, bodies, delays) WITH ORDINALITY AS new (queue, id, body, delay, place)
    ORDER BY new.place
    ON CONFLICT DO NOTHING;
    -- A message may die while it is enqueued again: the insertion waits for that, finds its place
    -- free, and does not see what has died since it began. So the dead are looked at afterwards;
    -- ids that were made just now are beyond all of theirs, which costs one look at the index.
    IF EXISTS (
        SELECT FROM (
            SELECT new.queue, min(new.id COLLATE "C") AS lowest, max(new.id COLLATE "C") AS highest
            FROM unnest(queues, ids) AS new (queue, id) GROUP BY new.queue
        ) AS new
        CROSS JOIN LATERAL (
            SELECT FROM {dead} AS dead
            WHERE dead.id BETWEEN new.lowest AND new.highest AND dead.queue || '' = new.queue
            LIMIT 1
        ) AS dead
    ) THEN
        DELETE FROM {table} AS stored
        USING unnest(queues, ids) AS new (queue, id)
        CROSS JOIN LATERAL (
            SELECT FROM {dead} AS dead
            WHERE dead.id BETWEEN new.id AND new.id AND dead.queue || '' = new.queue LIMIT 1
        ) AS dead
        WHERE stored.id BETWEEN new.id AND new.id AND stored.queue || '' = new.queue
        AND stored.token IS NULL;
    END IF;
    IF tell THEN
        PERFORM {tell}(queues, delays);
    END IF;
END
$body$;

-- Notifies the waiters of these queues: one notification for each queue, when the transaction
-- commits. Messages due later than a minute from now are found by polls.
CREATE OR REPLACE FUNCTION {tell}(queues text[], delays double precision[]) RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
    PERFORM pg_notify('{channel}', ceil(1000 * min(new.delay))::bigint || ':' || new.queue)
    FROM unnest(queues, delays) AS new (queue, delay)
    WHERE new.delay < 60
    GROUP BY new.queue;
END
$body$;

-- Claims up to most messages, from the second queue only when the first has fewer. If none is due,
-- returns one row without an id: the seconds until the next message is due, or null.
CREATE OR REPLACE FUNCTION {claim}(
    queues text[], most integer, lease double precision, holder bigint
) RETURNS TABLE (
    queue text, id text, attempt integer, abandoned boolean, body bytea, seconds double precision
)
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
                attempt = held.attempt + 1,
                abandoned = held.abandoned OR held.token IS NOT NULL
            FROM due WHERE held.id BETWEEN due.id AND due.id AND held.queue || '' = due.queue
            RETURNING held.queue, held.id, held.attempt, held.abandoned, held.body,
                0.0::double precision;
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
        RETURN QUERY SELECT NULL::text, NULL::text, 0, false, NULL::bytea,
            extract(epoch FROM moment - clock_timestamp())::double precision;
    END IF;
END
$body$;

-- Removes messages with the outcome DONE; returns the positions whose lease was lost.
CREATE OR REPLACE FUNCTION {done}(queues text[], ids text[], tokens bigint[])
RETURNS SETOF bigint
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
BEGIN
    RETURN QUERY
        WITH removed AS (
            DELETE FROM {table} AS held
            USING unnest(queues, ids, tokens) WITH ORDINALITY AS item (queue, id, token, place)
            WHERE held.id BETWEEN item.id AND item.id AND held.queue || '' = item.queue
            AND held.token = item.token
            RETURNING item.place
        )
        SELECT place FROM generate_series(1, cardinality(ids)::bigint) AS place
        WHERE place NOT IN (SELECT removed.place FROM removed);
END
$body$;

-- Applies any outcomes, all in one statement; returns the positions whose lease was lost.
CREATE OR REPLACE FUNCTION {settle}(
    queues text[], ids text[], tokens bigint[], outcomes text[], delays double precision[],
    notes text[], tell boolean
) RETURNS SETOF bigint
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
        WITH item AS MATERIALIZED (
            SELECT * FROM unnest(queues, ids, tokens, outcomes, delays, notes)
            WITH ORDINALITY AS item (queue, id, token, outcome, delay, note, place)
        ), done AS (
            DELETE FROM {table} AS held USING item
            WHERE item.outcome = 'done'
            AND held.id BETWEEN item.id AND item.id AND held.queue || '' = item.queue
            AND held.token = item.token
            RETURNING item.place
        ), died AS (
            DELETE FROM {table} AS held USING item
            WHERE item.outcome = 'dead'
            AND held.id BETWEEN item.id AND item.id AND held.queue || '' = item.queue
            AND held.token = item.token
            RETURNING item.place, held.queue, held.id, held.attempt, held.body, item.note
        ), kept AS (
            INSERT INTO {dead} AS dead (queue, id, died_at, attempt, body, note)
            SELECT died.queue, died.id, moment, died.attempt, died.body, died.note FROM died
            ON CONFLICT (id, queue) DO UPDATE
            SET died_at = excluded.died_at, attempt = excluded.attempt, body = excluded.body,
                note = excluded.note
        ), again AS (
            UPDATE {table} AS held
            SET visible_at = moment + make_interval(secs => item.delay), token = NULL,
                attempt = held.attempt - CASE item.outcome WHEN 'release' THEN 1 ELSE 0 END,
                abandoned = held.abandoned AND item.outcome = 'release'
            FROM item WHERE item.outcome IN ('retry', 'release')
            AND held.id BETWEEN item.id AND item.id AND held.queue || '' = item.queue
            AND held.token = item.token
            RETURNING item.place
        )
        SELECT item.place FROM item WHERE item.place NOT IN (
            SELECT done.place FROM done
            UNION ALL SELECT died.place FROM died
            UNION ALL SELECT again.place FROM again
        );
    IF tell THEN
        PERFORM {tell}(array_agg(item.queue), array_agg(item.delay))
        FROM unnest(queues, outcomes, delays) AS item (queue, outcome, delay)
        WHERE item.outcome IN ('retry', 'release');
    END IF;
END
$body$;

-- Moves the ends of leases; returns the positions whose lease was lost.
CREATE OR REPLACE FUNCTION {extend}(
    queues text[], ids text[], tokens bigint[], lease double precision
) RETURNS SETOF bigint
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
        WITH extended AS (
            UPDATE {table} AS held SET visible_at = moment + make_interval(secs => lease)
            FROM unnest(queues, ids, tokens) WITH ORDINALITY AS item (queue, id, token, place)
            WHERE held.id BETWEEN item.id AND item.id AND held.queue || '' = item.queue
            AND held.token = item.token
            RETURNING item.place
        )
        SELECT place FROM generate_series(1, cardinality(ids)::bigint) AS place
        WHERE place NOT IN (SELECT extended.place FROM extended);
END
$body$;
