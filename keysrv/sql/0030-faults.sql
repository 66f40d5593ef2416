-- SPDX-License-Identifier: Apache-2.0
-- Who owns what and who may do what, as the migrations made it and as it is
-- now.  A database that was restored before its roles has another owner and
-- no grants, and would otherwise look as if all were well.

CREATE VIEW counterfoil.actual_grant AS
SELECT o.object, coalesce(r.rolname, 'PUBLIC')::text AS grantee,
    g.privilege_type::text AS privilege
FROM (
	SELECT format('%I.%I', 'counterfoil', c.relname) AS object,
	    c.relowner AS owner, c.relacl AS acl
	FROM pg_catalog.pg_class c
	WHERE c.relnamespace = to_regnamespace('counterfoil')
	    AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'S')
	UNION ALL
	SELECT format('%I.%I.%I', 'counterfoil', c.relname, a.attname),
	    c.relowner, a.attacl
	FROM pg_catalog.pg_attribute a
	JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
	WHERE c.relnamespace = to_regnamespace('counterfoil')
	    AND NOT c.relispartition AND a.attacl IS NOT NULL
	UNION ALL
	SELECT format('%I.%I(%s)', 'counterfoil', p.proname,
	    pg_catalog.pg_get_function_identity_arguments(p.oid)),
	    p.proowner, coalesce(p.proacl,
	    pg_catalog.acldefault('f', p.proowner))
	FROM pg_catalog.pg_proc p
	WHERE p.pronamespace = to_regnamespace('counterfoil')
	UNION ALL
	SELECT 'schema counterfoil', n.nspowner, n.nspacl
	FROM pg_catalog.pg_namespace n WHERE n.nspname = 'counterfoil'
) o, pg_catalog.aclexplode(o.acl) g
LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
WHERE g.grantee <> o.owner;
COMMENT ON VIEW counterfoil.actual_grant IS
    'Who may do what besides the owner; partitions are not looked at.';
COMMENT ON COLUMN counterfoil.actual_grant.object IS
    'Table, view, column, function or the schema.';
COMMENT ON COLUMN counterfoil.actual_grant.grantee IS 'The role, or PUBLIC.';
COMMENT ON COLUMN counterfoil.actual_grant.privilege IS 'What it may do.';

CREATE TABLE counterfoil.expected_grant (
	object text NOT NULL,
	grantee text NOT NULL,
	privilege text NOT NULL,
	PRIMARY KEY (object, grantee, privilege)
);
COMMENT ON TABLE counterfoil.expected_grant IS
    'What stood in actual_grant after the last migration.';
COMMENT ON COLUMN counterfoil.expected_grant.object IS 'See actual_grant.';
COMMENT ON COLUMN counterfoil.expected_grant.grantee IS 'See actual_grant.';
COMMENT ON COLUMN counterfoil.expected_grant.privilege IS
    'See actual_grant.';

-- Each migration ends with it, in its own transaction.
CREATE FUNCTION counterfoil.record_grants() RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, counterfoil, pg_temp
BEGIN ATOMIC
	DELETE FROM counterfoil.expected_grant;
	INSERT INTO counterfoil.expected_grant
	    SELECT object, grantee, privilege FROM counterfoil.actual_grant;
END;
COMMENT ON FUNCTION counterfoil.record_grants() IS
    'Takes the grants as they are for those that shall be.';
REVOKE ALL ON FUNCTION counterfoil.record_grants() FROM PUBLIC;

CREATE VIEW counterfoil.schema_fault AS
WITH role (name) AS (
	VALUES ('counterfoil_owner'), ('counterfoil_keysrv'),
	    ('counterfoil_rotate'), ('counterfoil_auditor')
), owned (object, owner) AS (
	SELECT format('%I.%I', 'counterfoil', c.relname), c.relowner
	FROM pg_catalog.pg_class c
	WHERE c.relnamespace = to_regnamespace('counterfoil')
	    AND c.relkind IN ('r', 'p', 'v', 'S')
	UNION ALL
	SELECT format('%I.%I(%s)', 'counterfoil', p.proname,
	    pg_catalog.pg_get_function_identity_arguments(p.oid)), p.proowner
	FROM pg_catalog.pg_proc p
	WHERE p.pronamespace = to_regnamespace('counterfoil')
	UNION ALL
	SELECT 'schema counterfoil', n.nspowner
	FROM pg_catalog.pg_namespace n WHERE n.nspname = 'counterfoil'
)
SELECT 1 AS place, format('there is no role %I', name) AS fault
FROM role
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name)
UNION ALL
SELECT 2, format('%s belongs to %I, not to counterfoil_owner', object,
    pg_catalog.pg_get_userbyid(owner))
FROM owned
WHERE pg_catalog.pg_get_userbyid(owner) <> 'counterfoil_owner'
UNION ALL
SELECT 3, format('%s lacks %s on %s', grantee, privilege, object)
FROM (SELECT * FROM counterfoil.expected_grant
    EXCEPT SELECT * FROM counterfoil.actual_grant) lack
UNION ALL
SELECT 4, format('%s has %s on %s, which no migration gave it', grantee,
    privilege, object)
FROM (SELECT * FROM counterfoil.actual_grant
    EXCEPT SELECT * FROM counterfoil.expected_grant) extra
WHERE grantee = 'PUBLIC' OR grantee IN (SELECT name FROM role);
COMMENT ON VIEW counterfoil.schema_fault IS
    'What is not as the migrations made it: roles, owners, grants.';
COMMENT ON COLUMN counterfoil.schema_fault.place IS 'For the order.';
COMMENT ON COLUMN counterfoil.schema_fault.fault IS 'A sentence.';

GRANT SELECT ON counterfoil.schema_fault TO counterfoil_keysrv;
