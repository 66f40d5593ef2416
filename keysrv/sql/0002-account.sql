-- SPDX-License-Identifier: Apache-2.0
-- Who may issue keys, for which sender domains, with which API token.
CREATE TABLE counterfoil.account (
	account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE CHECK (name <> ''),
	kind text NOT NULL CHECK (kind IN ('person', 'gateway')),
	address text,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE counterfoil.account IS
    'Who may issue keys: persons and mail gateways.';
COMMENT ON COLUMN counterfoil.account.account_id IS
    'Number of the account.';
COMMENT ON COLUMN counterfoil.account.name IS
    'Its name, as the operator and recipients see it.';
COMMENT ON COLUMN counterfoil.account.kind IS 'person or gateway.';
COMMENT ON COLUMN counterfoil.account.address IS
    'Contact; of a person: the confirmed address.';
COMMENT ON COLUMN counterfoil.account.created_at IS 'When it was made.';

CREATE TABLE counterfoil.account_domain (
	account_id bigint NOT NULL REFERENCES counterfoil.account,
	domain text NOT NULL CHECK (domain = lower(domain) AND domain <> ''),
	PRIMARY KEY (account_id, domain)
);
COMMENT ON TABLE counterfoil.account_domain IS
    'Domains whose addresses an account may send for.';
COMMENT ON COLUMN counterfoil.account_domain.account_id IS 'The account.';
COMMENT ON COLUMN counterfoil.account_domain.domain IS
    'Domain in lower case; subdomains are not included.';

CREATE TABLE counterfoil.api_token (
	token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
	account_id bigint NOT NULL REFERENCES counterfoil.account,
	created_at timestamptz NOT NULL DEFAULT now(),
	revoked_at timestamptz
);
COMMENT ON TABLE counterfoil.api_token IS
    'API tokens of accounts; the token itself is not stored.';
COMMENT ON COLUMN counterfoil.api_token.token_sha256 IS
    'SHA-256 of the 32 token bytes.';
COMMENT ON COLUMN counterfoil.api_token.account_id IS 'Whose it is.';
COMMENT ON COLUMN counterfoil.api_token.created_at IS 'When it was made.';
COMMENT ON COLUMN counterfoil.api_token.revoked_at IS
    'From then on it is refused; null: valid.';

CREATE TABLE counterfoil.account_reference (
	account_id bigint PRIMARY KEY REFERENCES counterfoil.account,
	check_value bytea NOT NULL CHECK (octet_length(check_value) = 16),
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE counterfoil.account_reference IS
    'By what the reference secret of an account is known; all its gateways '
    'must have the same.';
COMMENT ON COLUMN counterfoil.account_reference.account_id IS 'Whose it is.';
COMMENT ON COLUMN counterfoil.account_reference.check_value IS
    'Derived from the secret, which is at the gateways only.';
COMMENT ON COLUMN counterfoil.account_reference.at IS
    'Since when, by the first request or by an administrator.';

GRANT SELECT ON counterfoil.account, counterfoil.account_domain,
    counterfoil.api_token, counterfoil.account_reference
    TO counterfoil_keysrv;
GRANT INSERT ON counterfoil.account_reference TO counterfoil_keysrv;
