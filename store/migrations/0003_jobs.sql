-- Jobs: what each is and what became of it, as JSON that the application gave.
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
