-- Queues of which nothing is delivered until they are resumed.
CREATE TABLE IF NOT EXISTS {paused_table} (
    queue VARBINARY(255) NOT NULL,
    PRIMARY KEY (queue)
) ENGINE = InnoDB;
