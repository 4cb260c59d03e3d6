-- Who changed or looked at what through the administration endpoints. There is one credential,
-- so the request id is what ties a row to the caller's own record of the call.
CREATE TABLE admin_audit (
    id         INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;

-- The table only grows at its end and is read newest first.
CREATE INDEX admin_audit_by_time ON admin_audit (at);
