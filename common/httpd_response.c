/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd_response - see httpd_response.h. */
#include "common/httpd_response.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"

struct cf_httpd_response {
	struct MHD_Response *mhd;	/* NULL: no memory; it is not sent */
	unsigned status;
	uint64_t len;
};

static void
free_body(void *cls)
{
	struct cf_buf *body = cls;

	cf_buf_free(body);
	free(body);
}

static struct cf_httpd_response *
response_of(unsigned status, struct MHD_Response *mhd, uint64_t len)
{
	struct cf_httpd_response *response = cf_calloc(1, sizeof *response);

	response->mhd = mhd;
	response->status = status;
	response->len = len;
	return response;
}

struct cf_httpd_response *
cf_httpd_response_new(unsigned status, struct cf_buf *body)
{
	struct cf_buf *own = cf_calloc(1, sizeof *own);
	struct MHD_Response *mhd;
	size_t len = body->len;

	*own = *body;
	*body = (struct cf_buf)CF_BUF_INIT(own->max);
	body->wipe = own->wipe;
	mhd = MHD_create_response_from_buffer_with_free_callback_cls(len,
	    own->data == NULL ? "" : own->data, free_body, own);
	if (mhd == NULL)
		free_body(own);
	return response_of(status, mhd, len);
}

struct cf_httpd_response *
cf_httpd_response_file(unsigned status, int fd, uint64_t len)
{
	struct MHD_Response *mhd = MHD_create_response_from_fd64(len, fd);

	if (mhd == NULL)
		close(fd);
	return response_of(status, mhd, len);
}

void
cf_httpd_response_add(struct cf_httpd_response *response, const char *name,
    const char *value)
{
	if (response->mhd != NULL && MHD_add_response_header(response->mhd,
	    name, value) != MHD_YES)
		cf_bug("a header was refused");
}

uint64_t
cf_httpd_response_len(const struct cf_httpd_response *response)
{
	return response->len;
}

void
cf_httpd_response_free(struct cf_httpd_response **ref)
{
	struct cf_httpd_response *response = *ref;

	if (response == NULL)
		return;
	if (response->mhd != NULL)
		MHD_destroy_response(response->mhd);
	free(response);
	*ref = NULL;
}

bool
cf_httpd_response_send(const struct cf_httpd_response *response,
    struct MHD_Connection *conn)
{
	return response->mhd != NULL && MHD_queue_response(conn,
	    response->status, response->mhd) == MHD_YES;
}
