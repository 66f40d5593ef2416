/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mailer - see mailer.h. */
#include "keysrv/receipt/mailer.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/conf_check.h"
#include "common/mem.h"

#define TIMEOUT_MS 60000L
#define CONNECT_TIMEOUT_MS 10000L

struct cf_mailer {
	CURL *curl;	/* NULL until the first message; keeps a connection */
	int fd;		/* that connection, or -1 */
	char *url, *ca_file;
	enum cf_mailer_tls tls;
	long timeout_ms;
	int (*tick)(void *arg);
	void *tick_arg;
};

/* How far the conversation came; the order is SMTP's. */
enum stage {
	STAGE_CONNECT,
	STAGE_HELLO,	/* EHLO, HELO, STARTTLS */
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA
};

struct transfer {
	struct cf_mailer *mailer;
	const char *mail;	/* what is left to send */
	size_t left;
	enum stage stage;
	int code;		/* reply to the last command: 200 ... 500, 0 */
	bool over;		/* QUIT was said; the rest changes nothing */
	char reply[200];	/* its last line */
};

const struct cf_conf_name cf_mailer_tls_names[] = {
	{ "off", CF_MAILER_TLS_OFF }, { "try", CF_MAILER_TLS_TRY },
	{ "verify", CF_MAILER_TLS_VERIFY }, { NULL, 0 },
};

enum cf_err
cf_mailer_new(const struct cf_mailer_options *options, struct cf_mailer **ret,
    struct cf_why *why)
{
	const char *helo = options->helo != NULL ? options->helo : "localhost";
	struct cf_mailer *m;

	if (cf_conf_check_hostport(options->server, why) != CF_OK)
		return CF_E_CONFIG;
	if (!cf_address_host_ok(helo))
		return cf_fail(CF_E_CONFIG, why, "\"%s\" is not a host name",
		    helo);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cf_fail(CF_E_INTERNAL, why, "libcurl does not start");
	m = cf_calloc(1, sizeof *m);
	/* For SMTP, libcurl says EHLO with the URL's path. */
	m->url = cf_asprintf("smtp://%s/%s", options->server, helo);
	if (options->ca_file != NULL)
		m->ca_file = cf_strdup(options->ca_file);
	m->tls = options->tls;
	m->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms :
	    TIMEOUT_MS;
	m->fd = -1;
	m->tick = options->tick;
	m->tick_arg = options->tick_arg;
	*ret = m;
	return CF_OK;
}

/*
 * Left to itself libcurl says QUIT and waits two minutes for an answer.  A
 * server that is silent must not hold up the end of the program.
 */
static void
hang_up(struct cf_mailer *m)
{
	if (m->fd >= 0) {
		if (m->tls == CF_MAILER_TLS_OFF)
			(void)send(m->fd, "QUIT\r\n", 6,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)shutdown(m->fd, SHUT_RDWR);
	}
	curl_easy_cleanup(m->curl);
	m->curl = NULL;
}

void
cf_mailer_free(struct cf_mailer **mailer)
{
	struct cf_mailer *m = *mailer;

	if (m == NULL)
		return;
	hang_up(m);
	free(m->url);
	free(m->ca_file);
	free(m);
	*mailer = NULL;
}

static void
note_command(struct transfer *t, const char *line, size_t len)
{
	static const struct {
		const char *verb;
		enum stage stage;
	} verbs[] = {
		{ "MAIL", STAGE_MAIL }, { "RCPT", STAGE_RCPT },
		{ "DATA", STAGE_DATA },
	};
	size_t i;

	if (len >= 4 && memcmp(line, "QUIT", 4) == 0) {
		t->over = true;
		return;
	}
	t->stage = STAGE_HELLO;
	t->code = 0;
	for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (len >= 4 && memcmp(line, verbs[i].verb, 4) == 0)
			t->stage = verbs[i].stage;
}

static void
note_reply(struct transfer *t, const char *line, size_t len)
{
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len < 3 || line[0] < '2' || line[0] > '5')
		return;
	t->code = (line[0] - '0') * 100;
	if (len >= sizeof t->reply)
		len = sizeof t->reply - 1;
	memcpy(t->reply, line, len);
	t->reply[len] = '\0';
}

/* libcurl reports one number; which command it answers is seen only here. */
static int
on_debug(CURL *curl, curl_infotype type, char *data, size_t size, void *arg)
{
	struct transfer *t = arg;

	(void)curl;
	if (t->over)
		return 0;
	if (type == CURLINFO_HEADER_OUT)
		note_command(t, data, size);
	else if (type == CURLINFO_HEADER_IN)
		note_reply(t, data, size);
	return 0;
}

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n < t->left ? size * n : t->left;

	memcpy(out, t->mail, len);
	t->mail += len;
	t->left -= len;
	return len;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *t = arg;
	const struct cf_mailer *m = t->mailer;

	(void)a; (void)b; (void)c; (void)d;
	return m->tick != NULL && m->tick(m->tick_arg);
}

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct cf_mailer *m = arg;

	(void)purpose;
	m->fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
	return m->fd;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	struct cf_mailer *m = arg;

	if (m->fd == fd)
		m->fd = -1;
	return close(fd);
}

static void
set_options(CURL *curl, struct transfer *t, struct curl_slist *recipients)
{
	struct cf_mailer *m = t->mailer;

	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, m);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, m);
	curl_easy_setopt(curl, CURLOPT_URL, m->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, m->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_USE_SSL,
	    m->tls == CF_MAILER_TLS_OFF ? (long)CURLUSESSL_NONE :
	    m->tls == CF_MAILER_TLS_TRY ? (long)CURLUSESSL_TRY :
	    (long)CURLUSESSL_ALL);
	if (m->tls == CF_MAILER_TLS_TRY) {
		/* Better than none against a listener, no more than that. */
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (m->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, m->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	/* No CURLOPT_MAIL_FROM: libcurl then says MAIL FROM:<>. */
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_READDATA, t);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug);
	curl_easy_setopt(curl, CURLOPT_DEBUGDATA, t);
}

/*
 * "550 5.7.1 Relaying denied" to RCPT is about us more often than about the
 * recipient: a set-up that an administrator mends within the days that a
 * receipt waits.  So is all that RFC 3463 does not call a matter of the
 * address (5.1), the mailbox (5.2) or the message (5.6); without such a code
 * the words have to tell.
 */
static bool
is_about_us(const char *reply)
{
	const char *status = strlen(reply) > 4 ? reply + 4 : "";

	if (strncmp(reply, "530", 3) == 0 || strncmp(reply, "535", 3) == 0)
		return true;
	if (strncmp(status, "5.", 2) == 0 && strspn(status + 2,
	    "0123456789") > 0)
		return strchr("126", status[2]) == NULL || status[3] != '.';
	return strcasestr(status, "relay") != NULL;
}

static enum cf_err
map_outcome(CURLcode code, const struct transfer *t, struct cf_why *why)
{
	const char *text = t->code >= 400 ? t->reply : curl_easy_strerror(code);

	if (code == CURLE_OK)
		return CF_OK;
	if (t->stage <= STAGE_MAIL)
		return cf_fail(CF_E_MAIL_AWAY, why, "%s: %s", t->mailer->url,
		    text);
	if (t->code != 500 || (t->stage == STAGE_RCPT && is_about_us(t->reply)))
		return cf_fail(CF_E_MAIL_DEFERRED, why, "%s", text);
	return cf_fail(CF_E_MAIL_REFUSED, why, "%s", text);
}

/* *ret_again: the kept connection was dead, nothing has been said on it. */
static enum cf_err
send_once(struct cf_mailer *m, struct transfer *t,
    struct curl_slist *recipients, bool *ret_again, struct cf_why *why)
{
	CURLcode code;
	long connects = 0;

	*ret_again = false;
	if (m->curl == NULL && (m->curl = curl_easy_init()) == NULL)
		return cf_fail(CF_E_INTERNAL, why, "libcurl gives no handle");
	set_options(m->curl, t, recipients);
	code = curl_easy_perform(m->curl);
	(void)curl_easy_getinfo(m->curl, CURLINFO_NUM_CONNECTS, &connects);
	*ret_again = code != CURLE_OK && connects == 0 &&
	    t->stage <= STAGE_MAIL && t->code == 0;
	/* `t` and the recipients must not be found by the next message. */
	curl_easy_reset(m->curl);
	if (code != CURLE_OK && t->code < 400)
		hang_up(m);	/* who knows what was said last */
	return map_outcome(code, t, why);
}

static bool
is_mail_text(const char *mail, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)mail[i] > 126 || mail[i] == '\0')
			return false;
		if (mail[i] == '\n' && (i == 0 || mail[i - 1] != '\r'))
			return false;
		if (mail[i] == '\r' && (i + 1 == len || mail[i + 1] != '\n'))
			return false;
	}
	return len > 1 && mail[len - 1] == '\n';
}

enum cf_err
cf_mailer_send(struct cf_mailer *m, const char *recipient, const char *mail,
    size_t len, struct cf_why *why)
{
	char in_brackets[CF_ADDRESS_MAX + 3];
	struct curl_slist *recipients;
	enum cf_err rc = CF_E_INTERNAL;
	bool again = true;	/* once more, on a new connection */
	int i;

	if (!cf_address_ok(recipient))
		return cf_fail(CF_E_ADDRESS, why,
		    "no mail can be sent to \"%s\"", recipient);
	if (!is_mail_text(mail, len))
		return cf_fail(CF_E_INTERNAL, why,
		    "the message is not 7-bit text with CRLF lines");
	(void)snprintf(in_brackets, sizeof in_brackets, "<%s>", recipient);
	recipients = curl_slist_append(NULL, in_brackets);
	for (i = 0; i < 2 && again; i++) {
		struct transfer t = { .mailer = m, .mail = mail, .left = len };

		rc = send_once(m, &t, recipients, &again, why);
	}
	curl_slist_free_all(recipients);
	return rc;
}

/* ---- a look at the server ---- */

static bool
say_line(CURL *curl, const char *line)
{
	size_t len = strlen(line), sent = 0;

	return curl_easy_send(curl, line, len, &sent) == CURLE_OK &&
	    sent == len;
}

/* The last line of a reply, "250 Ok"; others have a '-' behind the code. */
static bool
take_reply(struct transfer *t, char *text)
{
	char *save = NULL, *line;
	bool last = false;

	if (text[0] == '\0' || text[strlen(text) - 1] != '\n')
		return false;
	for (line = strtok_r(text, "\r\n", &save); line != NULL;
	    line = strtok_r(NULL, "\r\n", &save)) {
		note_reply(t, line, strlen(line));
		last = strlen(line) < 4 || line[3] != '-';
	}
	return last;
}

/* One command and its reply, in t->code and t->reply. */
static enum cf_err
command(CURL *curl, struct transfer *t, const char *line, struct cf_why *why)
{
	struct pollfd fd = { t->mailer->fd, POLLIN, 0 };
	char text[2000] = "", copy[sizeof text];
	size_t len = 0, n;
	CURLcode code = CURLE_OK;

	t->code = 0;
	if (!say_line(curl, line))
		return cf_fail(CF_E_MAIL_AWAY, why, "%s: the connection ended",
		    t->mailer->url);
	while (len + 1 < sizeof text) {
		n = 0;
		code = curl_easy_recv(curl, text + len, sizeof text - 1 - len,
		    &n);
		if (code == CURLE_AGAIN && poll(&fd, 1,
		    (int)t->mailer->timeout_ms) > 0)
			continue;
		if (code != CURLE_OK || n == 0)
			break;
		len += n;
		memcpy(copy, text, sizeof copy);
		if (take_reply(t, copy))
			return CF_OK;
	}
	return cf_fail(CF_E_MAIL_AWAY, why, "%s: no answer to %.4s",
	    t->mailer->url, line);
}

static enum cf_err
converse(CURL *curl, struct transfer *t, const char *recipient,
    struct cf_why *why)
{
	char line[CF_ADDRESS_MAX + 20];
	CURLcode code = curl_easy_perform(curl);
	enum cf_err rc;

	if (code != CURLE_OK)
		return map_outcome(code, t, why);
	rc = command(curl, t, "MAIL FROM:<>\r\n", why);
	if (rc == CF_OK && t->code != 200)
		rc = cf_fail(CF_E_MAIL_AWAY, why, "%s: %s", t->mailer->url,
		    t->reply);
	(void)snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", recipient);
	if (rc == CF_OK)
		rc = command(curl, t, line, why);
	if (rc == CF_OK && t->code != 200)
		rc = cf_fail(t->code != 500 ? CF_E_MAIL_DEFERRED :
		    is_about_us(t->reply) ? CF_E_UNAUTHORIZED :
		    CF_E_MAIL_REFUSED, why, "%s", t->reply);
	(void)say_line(curl, "RSET\r\nQUIT\r\n");
	return rc;
}

enum cf_err
cf_mailer_try(struct cf_mailer *m, const char *recipient, struct cf_why *why)
{
	struct transfer t = { .mailer = m };
	CURL *curl;
	enum cf_err rc;

	if (!cf_address_ok(recipient))
		return cf_fail(CF_E_ADDRESS, why,
		    "no mail can be sent to \"%s\"", recipient);
	hang_up(m);
	curl = curl_easy_init();
	if (curl == NULL)
		return cf_fail(CF_E_INTERNAL, why, "libcurl gives no handle");
	set_options(curl, &t, NULL);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 0L);
	/* Greeting, EHLO and STARTTLS by libcurl, then we speak. */
	curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	rc = converse(curl, &t, recipient, why);
	curl_easy_cleanup(curl);
	return rc;
}
