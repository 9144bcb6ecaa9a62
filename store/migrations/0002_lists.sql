-- Names are numbers from here on: a list's number is made of them (store/lists.h), so they have
-- 18 bits. A name that nothing uses is not kept; `maker` is the stream that brought it (0: not
-- known), whose names are counted.
CREATE TABLE name (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 262143),
    text TEXT NOT NULL UNIQUE,
    uses INTEGER NOT NULL, -- by detections, as stream, label or zone, and by names it made
    maker INTEGER NOT NULL
) STRICT;

INSERT INTO name (text, uses, maker)
SELECT text, sum(uses), 0 FROM (
    SELECT stream AS text, count(*) AS uses FROM detection GROUP BY stream
    UNION ALL SELECT label, count(*) FROM detection GROUP BY label
    UNION ALL SELECT zone, count(*) FROM zone GROUP BY zone)
GROUP BY text;

-- One row per detection. What its first record said of stream, kind, label and start stays, so
-- that a page walk never sees a row move.
CREATE TABLE detection_2 (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    stream INTEGER NOT NULL,
    label INTEGER NOT NULL,
    kind INTEGER NOT NULL, -- enum record_kind
    start_ms INTEGER NOT NULL,
    ended_ms INTEGER, -- NULL while open; never later than its record came
    score REAL NOT NULL, -- the best so far
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL -- its latest record (no reference: the tables would be a ring)
) STRICT;

INSERT INTO detection_2
SELECT d.number, d.id, s.id, l.id,
    CASE d.kind WHEN 'activity' THEN 0 WHEN 'object' THEN 1 WHEN 'motion' THEN 2
        WHEN 'anomaly' THEN 3 WHEN 'sound' THEN 4 ELSE 5 END,
    d.start_ms, min(d.end_ms, CAST(strftime('%s', 'now') AS INTEGER) * 1000), d.score,
    coalesce((SELECT min(r.seq) FROM record r WHERE r.detection = d.number), d.seq), d.seq
FROM detection d CROSS JOIN name s ON s.text = d.stream CROSS JOIN name l ON l.text = d.label
ORDER BY d.number;

CREATE TABLE detection_zone (
    detection INTEGER NOT NULL REFERENCES detection (number) ON DELETE CASCADE,
    zone INTEGER NOT NULL,
    PRIMARY KEY (detection, zone)
) STRICT, WITHOUT ROWID;

INSERT INTO detection_zone
SELECT z.detection, n.id FROM zone z JOIN name n ON n.text = z.zone ORDER BY 1, 2;

DROP TABLE zone;
DROP TABLE detection;
ALTER TABLE detection_2 RENAME TO detection;

CREATE INDEX detection_by_start ON detection (start_ms);
CREATE INDEX detection_open ON detection (start_ms) WHERE ended_ms IS NULL;
CREATE INDEX detection_ended ON detection (stream, ended_ms) WHERE ended_ms IS NOT NULL;

-- The lists a detection is in, and how many began in each hour: store/lists.h. An hour's list
-- gives stream, label, kind and band, and a zone or none.
CREATE TABLE posting (
    list INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (list, start_ms, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE hour (
    hour INTEGER NOT NULL, -- of start_ms, since 1970
    list INTEGER NOT NULL,
    detections INTEGER NOT NULL,
    PRIMARY KEY (hour, list)
) STRICT, WITHOUT ROWID;

CREATE TEMP VIEW facet AS
SELECT d.number, d.start_ms, d.stream, d.label, z.zone, d.kind << 4 | CASE
    WHEN score < 0.1 THEN 0 WHEN score < 0.2 THEN 1 WHEN score < 0.3 THEN 2
    WHEN score < 0.4 THEN 3 WHEN score < 0.5 THEN 4 WHEN score < 0.6 THEN 5
    WHEN score < 0.7 THEN 6 WHEN score < 0.75 THEN 7 WHEN score < 0.8 THEN 8
    WHEN score < 0.85 THEN 9 WHEN score < 0.9 THEN 10 WHEN score < 0.95 THEN 11
    WHEN score < 0.98 THEN 12 WHEN score < 0.99 THEN 13 WHEN score < 0.995 THEN 14
    ELSE 15 END AS tail
FROM main.detection d CROSS JOIN (
    SELECT number AS detection, 0 AS zone FROM main.detection
    UNION ALL SELECT detection, zone FROM main.detection_zone) z ON z.detection = d.number;

INSERT INTO posting
SELECT ((zone << 18 | stream * by_stream) << 18 | label * by_label) << 7 | tail AS list,
    start_ms, number
FROM facet CROSS JOIN (SELECT 0 AS by_stream, 0 AS by_label UNION ALL SELECT 0, 1
    UNION ALL SELECT 1, 0 UNION ALL SELECT 1, 1)
ORDER BY 1, 2, 3;

INSERT INTO hour
SELECT start_ms / 3600000, ((zone << 18 | stream) << 18 | label) << 7 | tail, count(*)
FROM facet GROUP BY 1, 2;

DROP VIEW facet;

-- What each stream keeps: exact at every commit.
CREATE TABLE stream_use (
    stream INTEGER PRIMARY KEY, -- name.id
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL, -- of the records' texts
    names INTEGER NOT NULL -- that it made
) STRICT;

INSERT INTO stream_use
SELECT d.stream, count(*), sum(length(CAST(r.text AS BLOB))), 0
FROM record r CROSS JOIN detection d ON d.number = r.detection GROUP BY d.stream;

-- Records with a lower seq came before this time.
CREATE TABLE mark (
    time_ms INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO mark
SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000, max(seq) + 1 FROM record HAVING count(*) > 0;

-- Up to here records between a detection's first and its latest were removed.
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    thinned_seq INTEGER NOT NULL
) STRICT;

INSERT INTO progress VALUES (1, 0);
