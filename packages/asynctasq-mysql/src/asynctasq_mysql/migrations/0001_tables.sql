-- `seq` is the order of arrival. A message is held while it has a token, which stays when its lease
-- runs out: the next claim marks it `abandoned`, and only a release keeps that mark. `due` serves the claim's
-- WHERE and ORDER BY exactly, so that a claim locks what it takes and nothing else; with `token`
-- it also counts states without the bodies. Names are bytes: no collation makes two of them one.
CREATE TABLE IF NOT EXISTS {queue_table} (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    queue VARBINARY(255) NOT NULL,
    id VARBINARY(255) NOT NULL,
    body LONGBLOB NOT NULL,
    visible_at DATETIME(6) NOT NULL,
    attempt INT NOT NULL DEFAULT 0,
    token BIGINT UNSIGNED NULL,
    abandoned TINYINT NOT NULL DEFAULT 0,
    PRIMARY KEY (seq),
    UNIQUE KEY message (queue, id),
    KEY due (queue, visible_at, seq, token)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS {dead_letter_table} (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    queue VARBINARY(255) NOT NULL,
    id VARBINARY(255) NOT NULL,
    body LONGBLOB NOT NULL,
    died_at DATETIME(6) NOT NULL,
    attempt INT NOT NULL,
    note LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE KEY message (queue, id),
    KEY died (queue, died_at, seq)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS {workers_table} (
    id VARBINARY(255) NOT NULL,
    info LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
    heard_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
