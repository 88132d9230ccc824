-- Waiting and held messages. visible_at: when the message is deliverable, in the future during a
-- delay or a lease. token: the fencing token of the lease. It stays when a lease expires: the next
-- claim then marks the message abandoned, and only a release keeps that mark.
CREATE TABLE IF NOT EXISTS {table} (
    queue text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    visible_at timestamptz NOT NULL,
    token bigint,
    attempt integer NOT NULL DEFAULT 0,
    abandoned boolean NOT NULL DEFAULT false,
    body bytea NOT NULL,
    PRIMARY KEY (id, queue)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.1,
    vacuum_truncate = false,
    toast.autovacuum_vacuum_scale_factor = 0.01,
    toast.autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_truncate = false
);

-- Large bodies are stored out of line, without the cost of compression.
ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL;

-- Serves the claim's WHERE and its ORDER BY.
CREATE INDEX IF NOT EXISTS {due_index} ON {table} (queue, visible_at, seq);

CREATE TABLE IF NOT EXISTS {dead} (
    queue text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    died_at timestamptz NOT NULL,
    attempt integer NOT NULL,
    body bytea NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (id, queue)
);

CREATE INDEX IF NOT EXISTS {died_index} ON {dead} (queue, died_at);

CREATE TABLE IF NOT EXISTS {workers} (
    id text COLLATE "C" PRIMARY KEY,
    info text NOT NULL,
    heard_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Queues whose messages are not delivered until they are resumed.
CREATE TABLE IF NOT EXISTS {paused} (queue text COLLATE "C" PRIMARY KEY);
