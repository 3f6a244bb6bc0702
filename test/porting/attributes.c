/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attribute objects: values of every type, text, copies, resets, descriptions; and one that a stack obeys.
 */
#include "porting.h"

static void
values(void)
{
	struct zf_attr *attr, *copy;
	char *text = NULL;
	int64_t n = 0;

	MUST(zf_attr_alloc(&attr));
	MUST(zf_attr_set_int(attr, "n_bufs", 1024));
	CHECK(zf_attr_get_int(attr, "N_BUFS", &n) == 0 && n == 1024);
	MUST(zf_attr_set_from_str(attr, "n_bufs", "2K"));
	CHECK(zf_attr_get_int(attr, "n_bufs", &n) == 0 && n == 2048);
	MUST(zf_attr_set_from_fmt(attr, "name", "port%d", 7));
	CHECK(zf_attr_get_str(attr, "name", &text) == 0 && text != NULL && strcmp(text, "port7") == 0);
	free(text);
	CHECK(zf_attr_set_int(attr, "no_such", 1) == -ENOENT);
	CHECK(zf_attr_set_str(attr, "n_bufs", "1") == -ENOMSG);
	CHECK(zf_attr_get_int(attr, "name", &n) == -EINVAL);
	CHECK(zf_attr_set_from_str(attr, "n_bufs", "many") == -EINVAL);
	copy = zf_attr_dup(attr);
	CHECK(copy != NULL);
	zf_attr_reset(attr);
	CHECK(zf_attr_get_int(attr, "n_bufs", &n) == 0 && n != 2048);
	CHECK(zf_attr_get_int(copy, "n_bufs", &n) == 0 && n == 2048);
	zf_attr_free(copy);
	zf_attr_free(attr);
}

static void
descriptions(void)
{
	const char **docs;
	int n = 0;

	CHECK(zf_attr_doc("interface", &docs, &n) == 0 && n == 6 && strcmp(docs[0], "interface") == 0);
	free(docs);
	CHECK(zf_attr_doc(NULL, &docs, &n) == 0 && n > 20);
	free(docs);
	CHECK(zf_attr_doc("no_such", &docs, &n) == -ENOENT);
}

/* One zocket may be made, the second one is too many. */
static void
obeyed(void)
{
	struct zf_stack *stack;
	struct zfur *one, *two;
	struct zf_attr *attr;

	MUST(zf_attr_alloc(&attr));
	MUST(zf_attr_set_str(attr, "interface", "wire:loop"));
	MUST(zf_attr_set_str(attr, "ipv4", "10.0.0.9/24"));
	MUST(zf_attr_set_int(attr, "max_udp_rx_endpoints", 1));
	MUST(zf_stack_alloc(attr, &stack));
	MUST(zfur_alloc(&one, stack, attr));
	CHECK(zfur_alloc(&two, stack, attr) == -ENOBUFS);
	MUST(zfur_free(one));
	MUST(zf_stack_free(stack));
	MUST(zf_attr_set_str(attr, "interface", NULL));
	CHECK(zf_stack_alloc(attr, &stack) == -ENODEV);
	zf_attr_free(attr);
}

int
main(void)
{
	open_alone();
	CHECK(strstr(zf_version(), zf_version_short()) != NULL);
	values();
	descriptions();
	obeyed();
	return close_all("attributes");
}
