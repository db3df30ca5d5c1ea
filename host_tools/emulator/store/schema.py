"""Schema: the tables of a cloud's state, version by version.

Owns the tables and how an older file becomes a newer one; each step runs in a transaction of its
own, so that a file is always of one version. Doesn't own what the rows mean.
"""

# hub names ignore case, device IDs do not, registration IDs and group names do
_V1 = """
CREATE TABLE enrollment_key (
    kind TEXT, name TEXT, primary_key BLOB, secondary_key BLOB, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE registration (
    registration_id TEXT COLLATE NOCASE PRIMARY KEY, device_id TEXT, hub TEXT,
    enrollment_group TEXT, substatus TEXT, etag TEXT, created REAL, updated REAL
) WITHOUT ROWID;
CREATE TABLE identity (
    hub TEXT COLLATE NOCASE, device_id TEXT, primary_key BLOB, secondary_key BLOB,
    enabled INTEGER, updated REAL, PRIMARY KEY (device_id, hub)
) WITHOUT ROWID;
"""
# enrollments may be made and changed while the cloud runs; hubs keep what a device asks them to;
# enrollment_key stays until the config asks for the enrollments whose keys are in it
_V2 = """
CREATE TABLE enrollment (
    kind TEXT, name TEXT COLLATE NOCASE, primary_key BLOB, secondary_key BLOB,
    definition TEXT, etag TEXT, created REAL, updated REAL, seeded INTEGER,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE seed (
    kind TEXT, name TEXT COLLATE NOCASE, digest TEXT, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
ALTER TABLE registration ADD COLUMN status TEXT NOT NULL DEFAULT 'assigned';
ALTER TABLE registration ADD COLUMN error_code INTEGER;
ALTER TABLE registration ADD COLUMN error_message TEXT;
ALTER TABLE registration ADD COLUMN payload TEXT;
CREATE INDEX registration_by_group
    ON registration (enrollment_group COLLATE NOCASE, registration_id);
CREATE INDEX registration_by_device ON registration (device_id);
CREATE TABLE device (
    hub TEXT COLLATE NOCASE, device_id TEXT, primary_key BLOB, secondary_key BLOB,
    enabled INTEGER, status_reason TEXT, generation_id TEXT, etag TEXT, edge INTEGER,
    created REAL, updated REAL, PRIMARY KEY (device_id, hub)
) WITHOUT ROWID;
INSERT INTO device
    SELECT hub, device_id, primary_key, secondary_key, enabled, '',
        lower(hex(randomblob(8))), lower(hex(randomblob(8))), 0, updated, updated
    FROM identity;
DROP TABLE identity;
CREATE TABLE twin (
    hub TEXT COLLATE NOCASE, device_id TEXT, document TEXT, PRIMARY KEY (device_id, hub)
) WITHOUT ROWID;
CREATE TABLE session (
    hub TEXT COLLATE NOCASE, device_id TEXT, subscriptions INTEGER, PRIMARY KEY (device_id, hub)
) WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hub TEXT COLLATE NOCASE, device_id TEXT,
    body BLOB, properties TEXT, enqueued REAL, expires REAL, deliveries INTEGER
);
CREATE INDEX message_by_device ON message (device_id, hub);
CREATE INDEX message_by_expiry ON message (hub, expires);
CREATE TABLE telemetry (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, hub TEXT, device_id TEXT, body BLOB,
    bag TEXT
);
CREATE TABLE policy (
    service TEXT COLLATE NOCASE, name TEXT, primary_key BLOB, secondary_key BLOB,
    PRIMARY KEY (service, name)
) WITHOUT ROWID;
"""

STEPS = (_V1, _V2)
VERSION = len(STEPS)
