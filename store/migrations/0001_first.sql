-- Every record, in the order in which it was acknowledged: what SSE resumes from.
-- AUTOINCREMENT keeps a seq from ever being given twice, also after retention emptied the table.
CREATE TABLE record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    detection INTEGER NOT NULL REFERENCES detection (number) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX record_by_detection ON record (detection);

-- One row per detection. What its first record said of stream, kind, label and start stays, so
-- that a page walk never sees a row move; seq is its latest record (no reference: the two tables
-- would point at each other).
CREATE TABLE detection (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER,
    score REAL NOT NULL, -- the best so far
    seq INTEGER NOT NULL
) STRICT;

-- One index per way into a list (store/query.c chooses); each ends in the list's order, so that
-- a page reads its own rows and no others.
CREATE INDEX detection_by_start ON detection (start_ms, id);
CREATE INDEX detection_by_stream ON detection (stream, start_ms, id);
CREATE INDEX detection_by_stream_kind ON detection (stream, kind, start_ms, id);
CREATE INDEX detection_by_stream_label ON detection (stream, label, start_ms, id);
CREATE INDEX detection_by_kind ON detection (kind, start_ms, id);
CREATE INDEX detection_by_label ON detection (label, start_ms, id);
-- Few are open at a time: every other filter is checked on those few.
CREATE INDEX detection_open ON detection (start_ms, id) WHERE end_ms IS NULL;
-- For retention.
CREATE INDEX detection_by_end ON detection (end_ms) WHERE end_ms IS NOT NULL;

CREATE TABLE zone (
    zone TEXT NOT NULL,
    start_ms INTEGER NOT NULL, -- of the detection, as is its id: the list's order again
    id TEXT NOT NULL,
    detection INTEGER NOT NULL REFERENCES detection (number) ON DELETE CASCADE,
    PRIMARY KEY (zone, start_ms, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX zone_by_detection ON zone (detection);

-- Streams that the API made; config is JSON as the application gave it.
CREATE TABLE stream (
    name TEXT PRIMARY KEY,
    config TEXT NOT NULL
) STRICT, WITHOUT ROWID;
