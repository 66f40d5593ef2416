/* SPDX-License-Identifier: Apache-2.0 */
/* cf_tls - see crypto_tls.h. */
#include "common/crypto_tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool
cf_tls_is_stranger(long verdict)
{
	switch (verdict) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return true;
	default:
		return false;
	}
}

const char *
cf_tls_certificate_trouble(long verdict)
{
	if (cf_tls_is_stranger(verdict))
		return "its certificate is from an authority that is not "
		    "known here; if it is the right one, give the "
		    "authority's file as ca_file";
	switch (verdict) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:	/* not asked for, the name was first */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "its certificate is for another name; check the "
		    "address, or tell its operator";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "its certificate has expired; tell its operator, "
		    "unless the clock of this machine is wrong";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "its certificate is not valid yet; check the clock of "
		    "this machine, or tell its operator";
	case X509_V_ERR_CA_MD_TOO_WEAK:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
		return "its certificate has a key or a signature that is too "
		    "weak; tell its operator";
	default:
		return "its certificate is not one for a server like this; "
		    "tell its operator";
	}
}

const char *
cf_tls_handshake_trouble(const char *text)
{
	const char *code = strstr(text, "error:");

	if (code == NULL)
		return NULL;
	switch (ERR_GET_REASON(strtoul(code + strlen("error:"), NULL, 16))) {
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return "it knows no TLS 1.2 or later, older ones are not "
		    "secure; tell its operator";
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return "what answers there does not speak TLS; check the "
		    "address and the port";
	case SSL_R_DH_KEY_TOO_SMALL:
	case SSL_R_EE_KEY_TOO_SMALL:
		return cf_tls_certificate_trouble(X509_V_ERR_EE_KEY_TOO_SMALL);
	default:
		return "it and this program have no kind of TLS in common; "
		    "tell its operator";
	}
}
