/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See steer.h. One record for each binding of each stack, in a hash table, since connections may be many; all of it under
 * the port's drv_lock, on the way of calls that bind and unbind. Sits between them and the register of bindings
 * (ip/netif_bind.c), which knows nothing of queues.
 *
 * A filter leads to one queue only, and a frame that two of them match goes where the narrower one says. So a frame that
 * several stacks want, or whose narrower filter the port has refused, must reach the common queue: filters of other
 * stacks that would take it away are given up (common_overlapping).
 */
#include "stack/steer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define BUCKETS_MIN 64u

struct steer_rule {
	struct steer_rule *next;
	struct port_filter f;
	struct port_member *owner; /* NULL: all, on a port with one queue */
	struct port_filter_id id;
	uint32_t refs;  /* bindings: several zockets of a stack may have joined one group */
	bool placed;    /* the port has it; else its frames come by the common queue */
	bool to_many;   /* a group's or a broadcast's: each stack wants its own copy */
};

struct steer_member {
	struct port_member *pm;
	uint16_t qid;
};

struct steer {
	struct steer_rule **buckets;
	uint32_t n_buckets, n;
	uint32_t n_common; /* rules that are not placed, although their owner has a queue */
	uint64_t secret[2];
	bool said_full, said_refused;
	struct steer_member members[PORT_NETIFS][NETIF_MEMBERS]; /* by interface and slot */
};

static struct steer_rule **
bucket_of(const struct steer *s, const struct port_filter *f)
{
	uint64_t ips = (uint64_t)f->rip.raw << 32 | f->lip.raw;
	uint64_t rest = (uint64_t)f->vlan << 40 | (uint64_t)f->proto << 32 | (uint64_t)f->rport.raw << 16 | f->lport.raw;

	return &s->buckets[(uint32_t)hash_fold(ips, rest, s->secret) & (s->n_buckets - 1)];
}

static bool
same(const struct port_filter *a, const struct port_filter *b)
{
	return be32_eq(a->lip, b->lip) && be32_eq(a->rip, b->rip) && be16_eq(a->lport, b->lport) &&
	       be16_eq(a->rport, b->rport) && a->vlan == b->vlan && a->proto == b->proto;
}

/* Is there a frame that both match? */
static bool
overlap(const struct port_filter *a, const struct port_filter *b)
{
	return a->vlan == b->vlan && a->proto == b->proto && be32_eq(a->lip, b->lip) && be16_eq(a->lport, b->lport) &&
	       (be32_is_zero(a->rip) || be32_is_zero(b->rip) || be32_eq(a->rip, b->rip)) &&
	       (be16_is_zero(a->rport) || be16_is_zero(b->rport) || be16_eq(a->rport, b->rport));
}

static struct steer_member *
member_of(struct zf_port *p, const struct netif *n, unsigned slot)
{
	for (uint32_t i = 0; i < p->n_netifs; i++)
		if (p->netifs[i] == n)
			return &p->steer->members[i][slot];
	return NULL;
}

static void
member_set(struct zf_port *p, const struct port_member *pm, struct steer_member to)
{
	struct steer_member *m = member_of(p, pm->netif, pm->ctx->slot);

	if (m != NULL)
		*m = to;
}

static uint16_t
queue_of(struct zf_port *p, const struct port_member *pm)
{
	const struct steer_member *m;

	if (pm == NULL)
		return 0;
	m = member_of(p, pm->netif, pm->ctx->slot);
	return m != NULL && m->pm == pm ? m->qid : STEER_NO_QUEUE;
}

static struct steer_rule *
rule_find(const struct steer *s, const struct port_filter *f, const struct port_member *owner)
{
	for (struct steer_rule *r = *bucket_of(s, f); r != NULL; r = r->next)
		if (r->owner == owner && same(&r->f, f))
			return r;
	return NULL;
}

/* Twice as many buckets; without the memory the chains grow. */
static void
grow(struct steer *s)
{
	uint32_t n_old = s->n_buckets;
	struct steer_rule **old = s->buckets, **fresh = calloc((size_t)n_old * 2, sizeof(*fresh));

	if (fresh == NULL)
		return;
	s->buckets = fresh;
	s->n_buckets = n_old * 2;
	for (uint32_t i = 0; i < n_old; i++)
		for (struct steer_rule *r = old[i], *next; r != NULL; r = next) {
			struct steer_rule **b = bucket_of(s, &r->f);

			next = r->next;
			r->next = *b;
			*b = r;
		}
	free(old);
}

/* How a refusal is told, once for each kind: a peer of many connections would repeat it. */
static void
say(struct zf_port *p, int rc)
{
	struct steer *s = p->steer;

	if (rc == -EBUSY && !s->said_full) {
		s->said_full = true;
		zf_err(&p->log, LC_FILTERS,
		       "port %s: its table of filters is full at %u: binding fails with EBUSY until zockets are freed; "
		       "fewer zockets, or port_queues=1, which needs none",
		       p->id.name, s->n - s->n_common);
	} else if (rc == -EOPNOTSUPP && !s->said_refused) {
		s->said_refused = true;
		zf_warn(&p->log, LC_FILTERS,
			"port %s takes no filter of some form (another firmware variant may): such frames come by the queue "
			"that its stacks share",
			p->id.name);
	}
}

static void
unplace(struct zf_port *p, struct steer_rule *r)
{
	if (!r->placed)
		return;
	p->drv->filter_del(p->priv, &r->id);
	r->placed = false;
	p->steer->n_common++;
}

/* Filters of other stacks that would take frames of @of away from the common queue. */
static void
common_overlapping(struct zf_port *p, const struct steer_rule *of)
{
	struct steer *s = p->steer;

	for (uint32_t i = 0; i < s->n_buckets; i++)
		for (struct steer_rule *r = s->buckets[i]; r != NULL; r = r->next)
			if (r->placed && r->owner != of->owner && overlap(&r->f, &of->f))
				unplace(p, r);
}

/* May @r have a filter, as far as other stacks' rules go? Those with a queue alone matter: the walk is for ports where a
 * filter was refused, and for groups.
 */
static bool
in_the_way(const struct steer *s, const struct steer_rule *r)
{
	if (s->n_common == 0 && !r->to_many)
		return false;
	for (uint32_t i = 0; i < s->n_buckets; i++)
		for (const struct steer_rule *o = s->buckets[i]; o != NULL; o = o->next)
			if (o != r && o->owner != r->owner && (!o->placed || r->to_many) && overlap(&o->f, &r->f))
				return true;
	return false;
}

/* The filter of @r, if it can have one. 0: it has, or does without; -errno: it must not be. @r counts as common before. */
static int
place(struct zf_port *p, struct steer_rule *r)
{
	uint16_t qid = queue_of(p, r->owner);
	int rc = -EOPNOTSUPP;

	if (qid != STEER_NO_QUEUE && !in_the_way(p->steer, r)) {
		rc = p->drv->filter_add(p->priv, qid, &r->f, &r->id);
		if (rc == 0) {
			r->placed = true;
			p->steer->n_common--;
			return 0;
		}
		say(p, rc);
	}
	if (rc != -EOPNOTSUPP || (p->info.caps & PORT_RX_FILTERED))
		return rc;
	common_overlapping(p, r);
	return 0;
}

static void
rule_free(struct zf_port *p, struct steer_rule *r)
{
	struct steer *s = p->steer;
	struct steer_rule **pp = bucket_of(s, &r->f);

	while (*pp != r)
		pp = &(*pp)->next;
	*pp = r->next;
	unplace(p, r);
	s->n_common--;
	s->n--;
	free(r);
}

/* Whose a rule of @pm's is: where all stacks have the same queue they have the same rules. */
static struct port_member *
owner_for(const struct zf_port *p, struct port_member *pm)
{
	return p->info.queues > 1 ? pm : NULL;
}

static int
rule_add(struct zf_port *p, struct port_member *pm, const struct port_filter *f, bool to_many)
{
	struct steer *s = p->steer;
	struct steer_rule *r = rule_find(s, f, pm), **b;
	int rc;

	if (r != NULL) {
		r->refs++;
		return 0;
	}
	r = malloc(sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	*r = (struct steer_rule){.f = *f, .owner = pm, .refs = 1, .to_many = to_many};
	if (s->n >= s->n_buckets)
		grow(s);
	b = bucket_of(s, f);
	r->next = *b;
	*b = r;
	s->n++;
	s->n_common++;
	rc = place(p, r);
	if (rc < 0)
		rule_free(p, r);
	return rc;
}

static struct port_filter
filter_of(const struct netif *n, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return (struct port_filter){lip, rip, lport, rport, n->vlan, proto};
}

static int
steer_bind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip, be16_t rport, bool many)
{
	struct zf_port *p = n->bind_arg;
	be16_t was = *lport;
	struct port_filter f;
	struct steer_member *m;
	int rc = netif_bind_plain(n, slot, proto, lip, lport, rip, rport, many);

	if (rc < 0 || (proto & NETIF_TX_ONLY))
		return rc;
	f = filter_of(n, proto, lip, *lport, rip, rport);
	pthread_mutex_lock(&p->drv_lock);
	m = member_of(p, n, slot);
	if (m != NULL && m->pm != NULL)
		rc = rule_add(p, owner_for(p, m->pm), &f, many);
	pthread_mutex_unlock(&p->drv_lock);
	if (rc < 0) {
		netif_unbind_plain(n, slot, proto, lip, *lport, rip, rport);
		*lport = was;
	}
	return rc;
}

static void
steer_unbind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	struct zf_port *p = n->bind_arg;
	struct port_filter f = filter_of(n, proto, lip, lport, rip, rport);
	struct steer_rule *r = NULL;
	struct steer_member *m;

	netif_unbind_plain(n, slot, proto, lip, lport, rip, rport);
	if (proto & NETIF_TX_ONLY)
		return;
	pthread_mutex_lock(&p->drv_lock);
	m = member_of(p, n, slot);
	if (m != NULL && m->pm != NULL)
		r = rule_find(p->steer, &f, owner_for(p, m->pm));
	if (r != NULL && --r->refs == 0)
		rule_free(p, r);
	pthread_mutex_unlock(&p->drv_lock);
}

int
steer_start(struct zf_port *p)
{
	struct steer *s = calloc(1, sizeof(*s));
	struct rng rng;

	if (s == NULL)
		return -ENOMEM;
	s->n_buckets = BUCKETS_MIN;
	s->buckets = calloc(s->n_buckets, sizeof(struct steer_rule *));
	if (s->buckets == NULL) {
		free(s);
		return -ENOMEM;
	}
	rng_seed_random(&rng);
	s->secret[0] = rng_next64(&rng);
	s->secret[1] = rng_next64(&rng);
	p->steer = s;
	return 0;
}

void
steer_stop(struct zf_port *p)
{
	struct steer *s = p->steer;

	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n_buckets; i++)
		while (s->buckets[i] != NULL)
			rule_free(p, s->buckets[i]);
	free(s->buckets);
	free(s);
	p->steer = NULL;
}

void
steer_netif(struct zf_port *p, struct netif *n)
{
	if (p->steer == NULL)
		return;
	n->bind_arg = p;
	n->bind = steer_bind;
	n->unbind = steer_unbind;
}

void
steer_join(struct zf_port *p, struct port_member *pm, uint16_t qid)
{
	if (p->steer == NULL)
		return;
	pthread_mutex_lock(&p->drv_lock);
	member_set(p, pm, (struct steer_member){pm, qid});
	pthread_mutex_unlock(&p->drv_lock);
}

/* Call for each rule of @pm, which @fn may free. */
static void
each_rule(struct zf_port *p, const struct port_member *pm, void (*fn)(struct zf_port *p, struct steer_rule *r))
{
	struct steer *s = p->steer;

	for (uint32_t i = 0; i < s->n_buckets; i++)
		for (struct steer_rule *r = s->buckets[i], *next; r != NULL; r = next) {
			next = r->next;
			if (pm == NULL || r->owner == pm)
				fn(p, r);
		}
}

/* What had a filter, or has a chance of one now; a full table is no reason to lose what works. */
static void
place_anew(struct zf_port *p, struct steer_rule *r)
{
	unplace(p, r);
	if (place(p, r) < 0)
		common_overlapping(p, r);
}

void
steer_move(struct zf_port *p, struct port_member *pm, uint16_t qid)
{
	if (p->steer == NULL)
		return;
	pthread_mutex_lock(&p->drv_lock);
	member_set(p, pm, (struct steer_member){pm, qid});
	each_rule(p, pm, place_anew);
	pthread_mutex_unlock(&p->drv_lock);
}

void
steer_leave(struct zf_port *p, struct port_member *pm)
{
	if (p->steer == NULL)
		return;
	pthread_mutex_lock(&p->drv_lock);
	each_rule(p, pm, rule_free);
	member_set(p, pm, (struct steer_member){NULL, STEER_NO_QUEUE});
	pthread_mutex_unlock(&p->drv_lock);
}

void
steer_again(struct zf_port *p)
{
	if (p->steer == NULL)
		return;
	pthread_mutex_lock(&p->drv_lock);
	each_rule(p, NULL, place_anew);
	pthread_mutex_unlock(&p->drv_lock);
}
