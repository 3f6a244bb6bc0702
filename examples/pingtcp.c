/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See pingtcp.h.
 */
#include "pingtcp.h"

#include <stdio.h>
#include <stdlib.h>

int
pp_broken(const struct conn *c, ssize_t rc, long done)
{
	int err = zft_error(c->ts) != 0 ? zft_error(c->ts) : (int)-rc;

	if (done < 0)
		fprintf(stderr, "the connection broke while it was closed: ");
	else
		fprintf(stderr, "the connection broke after %ld round trips: ", done);
	fprintf(stderr, "%s: %s\n", ex_tcp_name(err), ex_tcp_advice(err));
	return EX_BROKEN;
}

bool
pp_too_long(const struct pp_cfg *cfg, uint64_t since, uint64_t now)
{
	if (now - since <= (uint64_t)cfg->wait_s * 1000000000u)
		return false;
	fprintf(stderr, "no answer for %ld s: is the other side still running, is the wire or network up?\n",
		cfg->wait_s);
	return true;
}

/* The connection, made or taken; false when there was none in time. */
static bool
meet(struct conn *c, const struct zf_attr *attr)
{
	const struct pp_cfg *cfg = c->cfg;
	struct zftl *tl;

	if (cfg->ping) {
		c->ts = ex_tcp_connect(c->stack, attr, &cfg->host[0], cfg->wait_s);
	} else {
		tl = ex_tcp_listen(c->stack, attr, &cfg->host[0]);
		c->ts = ex_tcp_accept(c->stack, tl, cfg->wait_s);
		EX_TRY(zftl_free(tl));
	}
	if (c->ts != NULL)
		fprintf(stderr, "connected\n");
	if (c->ts != NULL && cfg->muxer) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR};

		EX_TRY(zf_muxer_alloc(c->stack, &c->set));
		EX_TRY(zf_muxer_add(c->set, zft_to_waitable(c->ts), &ev));
	}
	/* It may have received something already. */
	c->left = 1;
	c->rc = 1;
	return c->ts != NULL;
}

/* The stream's end, when all went well until then. An exit code. */
static int
finish(struct conn *c)
{
	uint64_t unasked = 0;
	int err = ex_tcp_finish(c->stack, c->ts, c->cfg->wait_s, &unasked);

	return err < 0 ? pp_broken(c, err, -1) : EX_OK;
}

static void
want_alternatives(struct zf_attr *attr, long alt_count)
{
	int64_t has;

	EX_TRY(zf_attr_get_int(attr, "alt_count", &has));
	if (has < alt_count)
		EX_TRY(zf_attr_set_int(attr, "alt_count", alt_count));
}

int
pp_tcp_main(struct pp_cfg *cfg, int argc, char **argv, long alt_count, int (*ping)(struct conn *c, uint64_t *ns),
	    int (*pong)(struct conn *c))
{
	struct conn c = {.cfg = cfg};
	struct zf_attr *attr;
	uint64_t *ns = NULL;
	int rc = EX_SILENCE;

	pp_options(cfg, argc, argv);
	if (cfg->ping && (ns = pp_values(cfg)) == NULL)
		return EX_FAILED;
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	want_alternatives(attr, alt_count);
	EX_TRY(zf_stack_alloc(attr, &c.stack));
	if (meet(&c, attr)) {
		rc = cfg->ping ? ping(&c, ns) : pong(&c);
		if (rc == EX_OK)
			rc = finish(&c);
		EX_TRY(zft_free(c.ts));
		zf_muxer_free(c.set);
	}
	if (rc == EX_OK && cfg->ping)
		rc = pp_report(cfg, ns, -1);
	free(ns);
	EX_TRY(zf_stack_free(c.stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
