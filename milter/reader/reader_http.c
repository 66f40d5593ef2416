/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader_http - see reader_http.h. */
#include "milter/reader/reader_http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "milter/reader/encoding.h"
#include "milter/reader/reader.h"
#include "milter/store/store.h"

#define FILE_MAX (16 * 1024 * 1024)	/* a page */
#define KEEP_FOR_GOOD "public, max-age=31536000, immutable"
#define HEADER_MEMORY (24 * 1024)	/* bytes of header blocks, in and out */

/* A request, from its header block to the end of its answer. */
struct request {
	int64_t began_ms;
	const char *method;	/* static text */
	unsigned status;
	uint64_t len;
	struct cf_reader_answer answer;
};

struct cf_reader_http {
	const struct cf_reader_conf *conf;
	struct cf_reader_metrics *metrics;
	struct cf_httpd_options options;
	struct cf_httpd *httpd;
	struct cf_reader_names names;
	struct cf_httpd_response *fixed[CF_READER__COUNT][CF_ENCODING__COUNT];
	struct cf_buf policy;
};

/* ---- answers ---- */

static void
add_headers(const struct cf_reader_http *http,
    struct cf_httpd_response *response, enum cf_reader_body body)
{
	const struct cf_reader_kind *kind = cf_reader_kind(body);
	const struct cf_reader_header *h;
	CF_AUTO(cf_free) char *save = NULL;

	cf_httpd_response_add(response, "Content-Type", kind->type);
	cf_httpd_response_add(response, "Content-Security-Policy",
	    cf_buf_str(&http->policy));
	cf_httpd_response_add(response, "Cache-Control",
	    cf_reader_is_hashed(body) ? KEEP_FOR_GOOD : "no-store");
	for (h = cf_reader_headers(); h->name != NULL; h++)
		cf_httpd_response_add(response, h->name, h->value);
	if (http->conf->hsts)
		cf_httpd_response_add(response,
		    "Strict-Transport-Security", CF_HTTPD_HSTS);
	if (kind->save_as != NULL) {
		save = cf_asprintf("attachment; filename=\"%s\"",
		    kind->save_as);
		cf_httpd_response_add(response, "Content-Disposition", save);
	}
	if (body == CF_READER_METHOD)
		cf_httpd_response_add(response, "Allow", "GET, HEAD");
}

/* E as it lies in the store; NULL when it is not there. */
static struct cf_httpd_response *
sealed_response(const struct cf_reader_http *http, const char *blob)
{
	CF_AUTO(cf_free) char *path =
	    cf_store_path(http->conf->store_directory, blob);
	struct cf_httpd_response *response;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT)
			cf_log(CF_LOG_ERROR, "sealed message %.6s...: %s",
			    blob, strerrordesc_np(errno));
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return NULL;
	}
	response = cf_httpd_response_file(
	    cf_reader_kind(CF_READER_SEALED)->status, fd,
	    (uint64_t)st.st_size);
	add_headers(http, response, CF_READER_SEALED);
	return response;
}

/* What was made at the start, as the browser takes it. */
static struct cf_httpd_response *
fixed_response(const struct cf_httpd_req *req, enum cf_reader_body body)
{
	const struct cf_reader_http *http = req->server;
	struct cf_httpd_response *const *as = http->fixed[body];
	bool there[CF_ENCODING__COUNT];
	int i;

	for (i = 0; i < CF_ENCODING__COUNT; i++)
		there[i] = as[i] != NULL;
	return as[cf_encoding_choose(cf_httpd_field(req, "Accept-Encoding"),
	    there)];
}

static void
answer(struct cf_httpd_req *req)
{
	const struct cf_reader_http *http = req->server;
	struct request *r = req->own;
	struct cf_httpd_response *response = NULL, *fixed;

	if (r->answer.body == CF_READER_SEALED) {
		response = sealed_response(http, r->answer.blob);
		if (response == NULL)
			r->answer.body = CF_READER_NOT_FOUND;
	}
	r->status = cf_reader_kind(r->answer.body)->status;
	fixed = fixed_response(req, r->answer.body);
	r->len = cf_httpd_response_len(response != NULL ? response : fixed);
	if (response != NULL)
		cf_httpd_answer(req, &response);
	else
		cf_httpd_answer_fixed(req, fixed);
}

/* ---- requests ---- */

static bool
announces_body(const struct cf_httpd_req *req)
{
	const char *len = cf_httpd_field(req, "Content-Length");

	return (len != NULL && strcmp(len, "0") != 0) ||
	    cf_httpd_field(req, "Transfer-Encoding") != NULL;
}

static struct request *
request_new(struct cf_httpd_req *req)
{
	struct request *r = cf_calloc(1, sizeof *r);

	req->own = r;
	r->began_ms = cf_clock_mono_ms();
	r->method = strcmp(req->method, "GET") == 0 ? "GET" :
	    strcmp(req->method, "HEAD") == 0 ? "HEAD" : "other";
	return r;
}

static void
begin(struct cf_httpd_req *req)
{
	const struct cf_reader_http *http = req->server;
	struct request *r = request_new(req);

	cf_reader_decide(&http->names, req->method, req->path,
	    announces_body(req), &r->answer);
	/* A body is not waited for: the refusal goes out at once. */
	if (r->answer.body == CF_READER_METHOD ||
	    r->answer.body == CF_READER_LARGE)
		answer(req);
}

static void
unsound(struct cf_httpd_req *req)
{
	request_new(req)->answer.body = CF_READER_UNSOUND;
	answer(req);
}

/* A name that is not there was still one of a sealed message. */
static void
count(const struct cf_reader_http *http, const struct request *r, bool sent)
{
	const struct cf_reader_kind *kind = cf_reader_kind(r->answer.body);

	cf_reader_metrics_request(http->metrics, r->answer.blob[0] != '\0' &&
	    r->answer.body == CF_READER_NOT_FOUND ?
	    cf_reader_kind(CF_READER_SEALED)->endpoint : kind->endpoint,
	    sent ? kind->result : "broken-off");
}

static void
end(struct cf_httpd_req *req, bool sent)
{
	struct request *r = req->own;
	char peer[INET6_ADDRSTRLEN + 20];
	const char *path, *dots = "";

	path = cf_reader_kind(r->answer.body)->log_as;
	if (r->answer.blob[0] != '\0') {
		path = r->answer.body == CF_READER_PAGE ? CF_PATH_PAGE :
		    CF_PATH_SEALED;
		dots = "...";
	}
	cf_httpd_peer(req, peer, sizeof peer);
	cf_log(CF_LOG_INFO, "%s %s %s%.6s%s %u %llu bytes %lld ms%s", peer,
	    r->method, path, r->answer.blob, dots, r->status,
	    (unsigned long long)r->len,
	    (long long)(cf_clock_mono_ms() - r->began_ms),
	    sent ? "" : ", broken off");
	count(req->server, r, sent);
	free(r);
}

static const struct cf_httpd_handler handler = {
	.begin = begin, .unsound = unsound, .whole = answer, .end = end,
};

/* ---- life ---- */

static enum cf_err
load_file(const struct cf_reader_http *http, const char *name,
    enum cf_encoding encoding, struct cf_buf *ret, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_asprintf("%s/%s%s",
	    http->conf->page_directory, name, cf_encoding_suffix(encoding));
	struct cf_why inner = { "" };

	/* What was not compressed goes out as it is. */
	if (encoding != CF_ENCODING_NONE && cf_file_is_absent(path))
		return CF_OK;
	if (cf_file_read(path, ret, &inner) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s", inner.text);
	return CF_OK;
}

static void
make_response(struct cf_reader_http *http, enum cf_reader_body body,
    enum cf_encoding encoding, struct cf_buf *content)
{
	struct cf_httpd_response *response = cf_httpd_response_new(
	    cf_reader_kind(body)->status, content);

	http->fixed[body][encoding] = response;
	add_headers(http, response, body);
	if (cf_reader_kind(body)->file != NULL)
		cf_httpd_response_add(response, "Vary", "Accept-Encoding");
	if (encoding != CF_ENCODING_NONE)
		cf_httpd_response_add(response, "Content-Encoding",
		    cf_encoding_name(encoding));
}

/* One file, in each encoding that there is of it. */
static enum cf_err
make_file(struct cf_reader_http *http, enum cf_reader_body body,
    struct cf_why *why)
{
	const char *name = cf_reader_kind(body)->file;
	enum cf_err rc = CF_OK;
	int i;

	for (i = 0; i < CF_ENCODING__COUNT && rc == CF_OK; i++) {
		CF_AUTO(cf_buf_free) struct cf_buf content =
		    CF_BUF_INIT(FILE_MAX);

		rc = load_file(http, name, (enum cf_encoding)i, &content, why);
		if (rc == CF_OK && i == CF_ENCODING_NONE &&
		    cf_reader_is_hashed(body))
			cf_reader_name(name, cf_buf_str(&content),
			    content.len, body == CF_READER_SCRIPT ?
			    http->names.script : http->names.style);
		if (rc == CF_OK && (i == CF_ENCODING_NONE ||
		    content.len > 0))
			make_response(http, body, (enum cf_encoding)i,
			    &content);
	}
	return rc;
}

static enum cf_err
make_fixed(struct cf_reader_http *http, enum cf_reader_body body,
    struct cf_why *why)
{
	const struct cf_reader_kind *kind = cf_reader_kind(body);
	struct cf_buf content = CF_BUF_INIT(FILE_MAX);

	if (kind->file != NULL)
		return make_file(http, body, why);
	cf_buf_adds(&content, kind->text);
	make_response(http, body, CF_ENCODING_NONE, &content);
	return CF_OK;
}

/* A page that names other files than there are would stay empty. */
static enum cf_err
check_page(const struct cf_reader_http *http, struct cf_why *why)
{
	const char *name = cf_reader_kind(CF_READER_PAGE)->file;
	CF_AUTO(cf_buf_free) struct cf_buf page = CF_BUF_INIT(FILE_MAX);
	enum cf_err rc;

	rc = load_file(http, name, CF_ENCODING_NONE, &page, why);
	if (rc != CF_OK)
		return rc;
	if (strstr(cf_buf_str(&page), http->names.script) == NULL ||
	    strstr(cf_buf_str(&page), http->names.style) == NULL)
		return cf_fail(CF_E_CONFIG, why, "%s/%s is not of one build "
		    "with the files beside it: it does not name %s and %s",
		    http->conf->page_directory, name, http->names.script + 1,
		    http->names.style + 1);
	return CF_OK;
}

static enum cf_err
load_all(struct cf_reader_http *http, struct cf_why *why)
{
	enum cf_err rc;
	int body;

	rc = cf_reader_policy(&http->conf->allowed_key_servers, &http->policy,
	    why);
	for (body = 0; body < CF_READER__COUNT && rc == CF_OK; body++)
		if (body != CF_READER_SEALED)
			rc = make_fixed(http, (enum cf_reader_body)body, why);
	return rc == CF_OK ? check_page(http, why) : rc;
}

enum cf_err
cf_reader_http_new(const struct cf_reader_conf *conf,
    struct cf_reader_metrics *metrics, struct cf_reader_http **ret,
    struct cf_why *why)
{
	CF_AUTO(cf_reader_http_free) struct cf_reader_http *http = NULL;
	enum cf_err rc;

	http = cf_calloc(1, sizeof *http);
	http->conf = conf;
	http->metrics = metrics;
	http->options = (struct cf_httpd_options){
		.handler = &handler,
		.arg = http,
		.tls_certificate = conf->tls_certificate,
		.tls_key = conf->tls_key,
		.proxies = &conf->proxies,
		.connections = conf->connection_limit,
		.per_address = conf->connections_per_address,
		.threads = conf->threads,
		.request_timeout_s = conf->request_timeout_s,
		.answer_timeout_s = conf->answer_timeout_s,
		.header_memory = HEADER_MEMORY,
	};
	http->policy.max = CF_READER_CSP_MAX;
	rc = load_all(http, why);
	if (rc == CF_OK)
		rc = cf_httpd_new(&http->options, &http->httpd, why);
	if (rc != CF_OK)
		return rc;
	*ret = http;
	http = NULL;
	return CF_OK;
}

enum cf_err
cf_reader_http_start(struct cf_reader_http *http, int fd, struct cf_why *why)
{
	return cf_httpd_start(http->httpd, fd, why);
}

void
cf_reader_http_sweep(struct cf_reader_http *http)
{
	cf_httpd_sweep(http->httpd);
}

void
cf_reader_http_stop(struct cf_reader_http *http)
{
	cf_httpd_drain(http->httpd, 1000 * http->conf->drain_s);
	cf_httpd_free(&http->httpd);
}

void
cf_reader_http_free(struct cf_reader_http **http)
{
	struct cf_reader_http *h = *http;
	int i, k;

	if (h == NULL)
		return;
	cf_httpd_free(&h->httpd);
	for (i = 0; i < CF_READER__COUNT; i++)
		for (k = 0; k < CF_ENCODING__COUNT; k++)
			cf_httpd_response_free(&h->fixed[i][k]);
	cf_buf_free(&h->policy);
	free(h);
	*http = NULL;
}
